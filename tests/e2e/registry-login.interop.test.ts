import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DockerRegistry } from "./docker-registry.ts";
import { BASE, Engine, SLIPWAY } from "./harness.ts";

const TIMEOUT = 120_000;

describe("a registry that wants a password", () => {
  let engine: Engine;
  let registry: DockerRegistry;
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "slipway-login-"));
    const passwords = join(directory, "htpasswd");
    writeFileSync(passwords, `ann:${await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 5 })}\n`);
    registry = await DockerRegistry.start(`auth: {htpasswd: {realm: test, path: ${passwords}}}`);
    engine = await Engine.start();
  }, TIMEOUT);

  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  }, TIMEOUT);

  const client = (config: string) => (argv: readonly string[], stdin?: string) =>
    engine.slipway(argv, {
      env: { DOCKER_CONFIG: config, PATH: `${join(directory, "bin")}:${process.env.PATH}` },
      ...(stdin !== undefined && { stdin }),
    });

  test(
    "is logged in to, pushed to, pulled from and logged out of",
    async () => {
      const slipway = client(join(directory, "plain"));
      const name = `${registry.host}/private/base:v1`;
      await engine.ok("tag", BASE, name);
      const refused = await slipway(["push", name]);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain("denied");
      const wrong = await slipway(["login", "-u", "ann", "--password-stdin", registry.host], "wrong\n");
      expect(wrong.code).toBe(1);
      expect(wrong.stderr).toContain("401 Unauthorized");
      const right = await slipway(["login", "-u", "ann", "--password-stdin", registry.host], "secret\n");
      expect(right).toMatchObject({ code: 0, stdout: "Login Succeeded\n" });
      expect(right.stderr).toContain("stored unencrypted");
      const file = join(directory, "plain/config.json");
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({
        auths: { [registry.host]: { auth: Buffer.from("ann:secret").toString("base64") } },
      });
      expect(await slipway(["push", name])).toMatchObject({ code: 0 });
      await engine.ok("rmi", name);
      const anonymous = await engine.slipway(["pull", name]);
      expect(anonymous.stderr).toContain(
        `pull access denied for ${registry.host}/private/base, repository does not exist or may require 'docker login'`,
      );
      const context = engine.context({ Dockerfile: `FROM ${name}\nRUN true\n` });
      expect(await slipway(["build", "-q", context])).toMatchObject({ code: 0 });
      await engine.ok("rmi", name);
      const run = await slipway(["run", "--rm", name, "echo", "in"]);
      expect(run).toMatchObject({ code: 0, stdout: "in\n" });
      expect(run.stderr).toContain(`Unable to find image '${name}' locally`);
      expect(await slipway(["logout", registry.host])).toMatchObject({
        stdout: `Removing login credentials for ${registry.host}\n`,
      });
      // Once more does nothing, and Docker says the same of it.
      expect(await slipway(["logout", registry.host])).toMatchObject({ code: 0 });
      expect((await slipway(["pull", name])).code).toBe(1);
    },
    TIMEOUT,
  );

  test(
    "keeps its password in a credential helper when the configuration names one",
    async () => {
      const config = join(directory, "helped");
      const kept = join(directory, "kept");
      mkdirSync(config);
      mkdirSync(join(directory, "bin"), { recursive: true });
      const helper = join(directory, "bin/docker-credential-test");
      writeFileSync(
        helper,
        `#!/bin/sh\ncase $1 in\n store) cat > ${kept};;\n get) cat >/dev/null; [ -e ${kept} ] && cat ${kept} || { echo "credentials not found in native keychain"; exit 1; };;\n erase) rm -f ${kept};;\n list) echo '{}';;\nesac\n`,
      );
      chmodSync(helper, 0o755);
      writeFileSync(join(config, "config.json"), JSON.stringify({ credsStore: "test", detachKeys: "ctrl-x" }));
      const slipway = client(config);
      const login = await slipway(["login", "-u", "ann", "-p", "secret", registry.host]);
      expect(login).toMatchObject({ code: 0, stdout: "Login Succeeded\n" });
      expect(login.stderr).toContain("Using --password via the CLI is insecure");
      expect(JSON.parse(readFileSync(kept, "utf8"))).toEqual({
        ServerURL: registry.host,
        Username: "ann",
        Secret: "secret",
      });
      expect(JSON.parse(readFileSync(join(config, "config.json"), "utf8"))).toEqual({
        credsStore: "test",
        detachKeys: "ctrl-x",
        auths: { [registry.host]: {} },
      });
      const name = `${registry.host}/helped/base:v1`;
      await engine.ok("tag", BASE, name);
      expect(await slipway(["push", "-q", name])).toMatchObject({ code: 0, stdout: `${name}\n` });
      expect(await slipway(["manifest", "inspect", name])).toMatchObject({ code: 0 });
      expect(await slipway(["logout", registry.host])).toMatchObject({ code: 0 });
      expect((await slipway(["push", "-q", name])).code).toBe(1);
    },
    TIMEOUT,
  );

  test(
    "asks for name and password on a terminal, and does not show the password",
    async () => {
      let shown = "";
      const child = Bun.spawn([SLIPWAY, "login", registry.host], {
        env: { ...process.env, DOCKER_HOST: `unix://${engine.socket}`, DOCKER_CONFIG: join(directory, "typed") },
        terminal: { cols: 80, rows: 24, data: (_, chunk) => void (shown += Buffer.from(chunk).toString()) },
      });
      const until = async (text: string) => {
        for (const deadline = Date.now() + 10_000; !shown.includes(text); await Bun.sleep(5)) {
          if (Date.now() > deadline) throw new Error(`no ${text} in ${shown}`);
        }
      };
      await until("Username: ");
      child.terminal?.write("ann\r");
      await until("Password: ");
      child.terminal?.write("secret\r");
      await until("Login Succeeded");
      expect(await child.exited).toBe(0);
      expect(shown).not.toContain("secret");
      const file = JSON.parse(readFileSync(join(directory, "typed/config.json"), "utf8")) as { auths: object };
      expect(Object.keys(file.auths)).toEqual([registry.host]);
    },
    TIMEOUT,
  );

  test(
    "an identity token of a helper reaches the token service, and logins of one registry's helper only that",
    async () => {
      const forms: string[] = [];
      const front: Bun.Server<undefined> = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        async fetch(request): Promise<Response> {
          if (request.method === "POST") forms.push(await request.text());
          if (new URL(request.url).pathname === "/token") return Response.json({ access_token: "short" });
          const challenge = `Bearer realm="http://127.0.0.1:${front.port}/token",service="test"`;
          const headers = { "WWW-Authenticate": challenge };
          const status = request.headers.has("authorization") ? 404 : 401;
          return Response.json({ errors: [] }, { status, headers });
        },
      });
      mkdirSync(join(directory, "bin"), { recursive: true });
      const helper = join(directory, "bin/docker-credential-token");
      writeFileSync(
        helper,
        '#!/bin/sh\nread server\necho "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"of $server\\"}"\n',
      );
      chmodSync(helper, 0o755);
      const config = join(directory, "tokens");
      mkdirSync(config);
      const host = `localhost:${front.port}`;
      writeFileSync(join(config, "config.json"), JSON.stringify({ credHelpers: { [host]: "token" } }));
      const missing = await client(config)(["pull", `${host}/team/app:v1`]);
      expect(missing.stderr).toContain(`manifest for ${host}/team/app:v1 not found`);
      expect(new URLSearchParams(forms[0]).get("refresh_token")).toBe(`of ${host}`);
      expect((await client(config)(["pull", `${registry.host}/private/base:v1`])).stderr).toContain(
        "pull access denied",
      );
      await front.stop(true);
    },
    TIMEOUT,
  );

  test(
    "manifests and images are joined and copied from registry to registry",
    async () => {
      await using other = await DockerRegistry.start();
      const one = `${other.host}/joined/one:v1`;
      const list = `${other.host}/joined/list:v1`;
      await engine.ok("tag", BASE, one);
      await engine.ok("push", "-q", one);
      await engine.ok("manifest", "create", list, one);
      await engine.ok("manifest", "annotate", "--variant", "v2", list, one);
      expect(await engine.ok("manifest", "push", "-p", list)).toMatch(/^sha256:[0-9a-f]{64}$/);
      const shown = JSON.parse(await engine.ok("manifest", "inspect", list)) as { manifests: { platform: unknown }[] };
      expect(shown.manifests[0]?.platform).toEqual({ architecture: "amd64", os: "linux", variant: "v2" });
      const copied = `${other.host}/copied/here:v2`;
      await engine.ok("buildx", "imagetools", "create", "-t", copied, list);
      const raw = await engine.ok("buildx", "imagetools", "inspect", "--raw", copied);
      expect(raw).toBe(await engine.ok("buildx", "imagetools", "inspect", "--raw", list));
      const id = await engine.ok("image", "inspect", "-f", "{{.Id}}", one);
      await engine.ok("rmi", one);
      expect(await engine.ok("image", "inspect", "--remote", "-f", "{{.Id}} {{.Os}}", one)).toBe(`${id} linux`);
      await engine.ok("pull", "-q", one);
      const search = await engine.slipway(["search", `${other.host}/x`]);
      expect(search.code).toBe(1);
      expect(search.stderr).toContain(`${other.host} has no index to search`);
      await engine.ok("rmi", one);
      expect(await engine.ok("pull", "-a", `${other.host}/joined/one`)).toContain("Downloaded newer image");
    },
    TIMEOUT,
  );
});
