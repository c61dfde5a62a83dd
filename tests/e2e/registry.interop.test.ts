import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { CountingProxy } from "./counting-proxy.ts";
import { DockerRegistry, freePort } from "./docker-registry.ts";
import { BASE, Engine, run } from "./harness.ts";

const TIMEOUT = 120_000;

describe("an engine beside Debian's docker-registry", () => {
  let engine: Engine;
  let registry: DockerRegistry;

  beforeAll(async () => {
    registry = await DockerRegistry.start();
    engine = await Engine.start();
  }, TIMEOUT);

  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  }, TIMEOUT);

  async function lines(path: string, init: RequestInit = {}): Promise<Record<string, unknown>[]> {
    const response = await fetch(`http://engine${path}`, { method: "POST", unix: engine.socket, ...init });
    const text = await response.text();
    return text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  test(
    "pushes an image, and pulls and runs it after it was removed",
    async () => {
      const name = `${registry.host}/first/base`;
      await engine.ok("tag", BASE, `${name}:v1`);
      const pushed = await lines(`/images/${name}/push?tag=v1`);
      expect(pushed[0]).toEqual({ status: `The push refers to repository [${name}]` });
      const aux = pushed.at(-1)?.aux as { Tag: string; Digest: string; Size: number };
      expect(aux.Tag).toBe("v1");
      const summary = `v1: digest: ${aux.Digest} size: ${aux.Size}`;
      expect(pushed.map(({ status }) => status)).toContain(summary);

      const id = await engine.ok("image", "inspect", "-f", "{{.Id}}", `${name}:v1`);
      await engine.ok("rmi", `${name}:v1`, BASE);
      const pulled = await lines(`/images/create?fromImage=${name}&tag=v1`);
      expect(pulled[0]).toEqual({ status: "Pulling from first/base", progressDetail: {}, id: "v1" });
      expect(pulled.at(-2)).toEqual({ status: `Digest: ${aux.Digest}` });
      expect(pulled.at(-1)).toEqual({ status: `Status: Downloaded newer image for ${name}:v1` });
      expect(pulled.map(({ status }) => status)).toContain("Pull complete");
      expect(await engine.ok("image", "inspect", "-f", "{{.Id}} {{.RepoDigests}}", `${name}:v1`)).toBe(
        `${id} [${name}@${aux.Digest}]`,
      );
      expect(await engine.ok("run", "--rm", `${name}:v1`, "echo", "hello")).toBe("hello");
      await engine.ok("tag", `${name}:v1`, BASE);
    },
    TIMEOUT,
  );

  test(
    "builds from an image that only the registry has",
    async () => {
      const name = `${registry.host}/second/base:v1`;
      await engine.ok("tag", BASE, name);
      await lines(`/images/${registry.host}/second/base/push?tag=v1`);
      await engine.ok("rmi", name);
      const context = engine.context({ Dockerfile: `FROM ${name}\nRUN echo built > /made\n` });
      await engine.ok("build", "-q", "-t", "built", context);
      expect(await engine.ok("run", "--rm", "built", "cat", "/made")).toBe("built");
    },
    TIMEOUT,
  );

  test(
    "Docker's client pushes and pulls through it",
    async () => {
      const name = `${registry.host}/third/base:v1`;
      await engine.ok("tag", BASE, name);
      const docker = (...argv: string[]) => run(["docker", "-H", `unix://${engine.socket}`, ...argv]);
      const pushed = await docker("push", name);
      expect(pushed).toMatchObject({ code: 0, stderr: "" });
      expect(pushed.stdout).toMatch(/v1: digest: sha256:[0-9a-f]{64} size: \d+/);
      await engine.ok("rmi", name);
      const pulled = await docker("pull", name);
      expect(pulled).toMatchObject({ code: 0, stderr: "" });
      expect(pulled.stdout).toContain(`Status: Downloaded newer image for ${name}`);
      const missing = await docker("pull", `${registry.host}/nothing/here:v1`);
      expect(missing.code).toBe(1);
      expect(missing.stderr).toContain(`manifest for ${registry.host}/nothing/here:v1 not found: manifest unknown`);
    },
    TIMEOUT,
  );

  test(
    "images of two platforms are joined, pulled by platform and digest, and pushed alone or whole",
    async () => {
      const name = `${registry.host}/platforms/image`;
      const context = engine.context({ file: "content" });
      await run(["tar", "cf", join(context, "root.tar"), "-C", context, "file"]);
      await engine.ok("import", "--platform", "linux/arm64", join(context, "root.tar"), `${name}:arm64`);
      await engine.ok("tag", BASE, `${name}:amd64`);
      await engine.ok("push", "-aq", name);
      await engine.ok("buildx", "imagetools", "create", "-t", `${name}:both`, `${name}:amd64`, `${name}:arm64`);
      const inspect = async (format: string, tag = "both") =>
        await engine.ok("image", "inspect", "-f", format, `${name}:${tag}`);
      const amd64 = await inspect("{{.Id}}", "amd64");
      const arm64 = await inspect("{{.Id}}", "arm64");
      const own = (await inspect("{{index .RepoDigests 0}}", "amd64")).split("@")[1];
      const untagged = await engine.ok("rmi", `${name}:amd64`);
      expect(untagged).toContain(`Untagged: ${name}@${own}`);
      await engine.ok("rmi", `${name}:arm64`);

      await engine.ok("pull", "-q", `${name}:both`);
      expect(await inspect("{{.Id}}")).toBe(amd64);
      const all = JSON.parse(await inspect("{{json .RepoDigests}}")) as string[];
      const whole = all.find((each) => each.startsWith(`${name}@`));
      const listed = await engine.ok("images", "--digests", "--format", "{{.Tag}} {{.Digest}}", name);
      expect(listed).toBe(`both ${whole?.split("@")[1]}`);
      const other = await engine.slipway(["pull", "--platform", "linux/s390x", `${name}:both`]);
      expect(other.stderr).toContain("no matching manifest for linux/s390x in the manifest list entries");
      expect(other.stderr).toContain("It has linux/amd64, linux/arm64.");
      const never = ["run", "--rm", "--pull", "never", "--platform", "linux/arm64", `${name}:both`, "true"];
      expect((await engine.slipway(never)).stderr).toContain("is for linux/amd64, not for linux/arm64");

      await engine.ok("tag", `${name}:both`, `${registry.host}/platforms/copy:whole`);
      await engine.ok("push", "-q", `${registry.host}/platforms/copy:whole`);
      const kind = async (tag: string) =>
        (
          JSON.parse(await engine.ok("manifest", "inspect", `${registry.host}/platforms/copy:${tag}`)) as {
            mediaType: string;
          }
        ).mediaType;
      expect(await kind("whole")).toContain("index");
      await engine.ok("tag", `${name}:both`, `${registry.host}/platforms/copy:alone`);
      const push = ["push", "-q", "--platform"];
      await engine.ok(...push, "linux/amd64", `${registry.host}/platforms/copy:alone`);
      expect(await kind("alone")).toContain("manifest");
      const wrong = await engine.slipway([...push, "linux/s390x", `${registry.host}/platforms/copy:alone`]);
      expect(wrong).toMatchObject({ code: 1 });
      expect(wrong.stderr).toContain("was found but does not provide the specified platform (linux/s390x)");
      const docker = ["docker", "-H", `unix://${engine.socket}`];
      expect(await run([...docker, ...push, "linux/s390x", `${registry.host}/platforms/copy:alone`])).toMatchObject({
        code: 1,
      });

      await engine.ok("pull", "-q", "--platform", "linux/arm64", `${name}:both`);
      expect(await inspect("{{.Id}} {{.Architecture}}")).toBe(`${arm64} arm64`);
      await engine.ok("rmi", `${name}:both`);
      await engine.ok("pull", "-q", `${name}@${own}`);
      expect(await engine.ok("images", "--digests", "--format", "{{.Tag}} {{.Digest}}", name)).toContain(
        `<none> ${own}`,
      );
      await engine.ok("tag", `${name}@${own}`, "kept:v1");
      expect(await engine.ok("rmi", `${name}@${own}`)).toBe(`Untagged: ${name}@${own}`);
      expect(await engine.ok("image", "inspect", "-f", "{{.Id}}", "kept:v1")).toBe(amd64);
      const from = engine.context({ Dockerfile: `FROM ${name}@${own}\nRUN echo made > /made\n` });
      await engine.ok("build", "-q", "-t", "from-digest", from);
      expect(await engine.ok("run", "--rm", "from-digest", "cat", "/made")).toBe("made");
      expect(await engine.ok("pull", "-a", name)).toContain(`Downloaded newer image for ${name}`);
    },
    TIMEOUT,
  );

  test(
    "what goes wrong is told in Docker's words, with Docker's status",
    async () => {
      const nowhere = `localhost:${freePort()}`;
      const post = async (path: string) => {
        const response = await fetch(`http://engine${path}`, { method: "POST", unix: engine.socket });
        return `${response.status} ${((await response.json()) as { message: string }).message}`;
      };
      expect(await post(`/images/create?fromImage=${nowhere}/x&tag=latest`)).toBe(
        `500 Get "http://${nowhere}/v2/": dial tcp 127.0.0.1:${nowhere.split(":")[1]}: connect: connection refused`,
      );
      expect(await post(`/images/create?fromImage=${registry.host}/x&tag=latest`)).toBe(
        `404 manifest for ${registry.host}/x:latest not found: manifest unknown: manifest unknown`,
      );
      expect(await engine.slipway(["push", "-q", `${registry.host}/unheard-of:v1`])).toMatchObject({
        code: 1,
        stderr: `An image does not exist locally with the tag: ${registry.host}/unheard-of\n`,
      });
    },
    TIMEOUT,
  );

  test(
    "a build sends its result, and skopeo reads it with every compression and sends it back",
    async () => {
      const context = engine.context({ Dockerfile: `FROM ${BASE}\nRUN echo pushed > /made\n` });
      for (const compression of ["gzip", "zstd", "uncompressed"]) {
        const name = `${registry.host}/fourth/${compression}:v1`;
        await engine.ok("build", "-q", "-t", name, "-o", `type=registry,compression=${compression}`, context);
        const directory = join(engine.root, `skopeo-${compression}`);
        const copy = (from: string, to: string) =>
          run(["skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", from, to]);
        expect(await copy(`docker://${name}`, `oci:${directory}:v1`)).toMatchObject({ code: 0 });
        const back = `${registry.host}/back/${compression}:v1`;
        expect(await copy(`oci:${directory}:v1`, `docker://${back}`)).toMatchObject({ code: 0 });
        expect(await engine.ok("run", "--rm", back, "cat", "/made")).toBe("pushed");
      }
    },
    TIMEOUT,
  );

  test(
    "a daemon that is killed in the middle of a pull goes on where it was",
    async () => {
      const name = `${registry.host}/fifth/large:v1`;
      const context = engine.context({ Dockerfile: `FROM ${BASE}\nRUN head -c 60000000 /dev/urandom > /large\n` });
      await engine.ok("build", "-q", "--push", "-t", name, context);
      await engine.ok("rmi", name);
      await engine.ok("builder", "prune", "-af");
      const pulling = engine.slipway(["pull", name]);
      const ingest = join(engine.dataRoot, "content/ingest");
      const arrived = () => readdirSync(ingest).reduce((sum, file) => sum + statSync(join(ingest, file)).size, 0);
      const deadline = Date.now() + 20_000;
      while (arrived() === 0 && Date.now() < deadline) await Bun.sleep(1);
      await engine.stopDaemon("SIGKILL");
      expect((await pulling).code).toBe(1);
      await engine.startDaemon();
      await engine.ok("pull", name);
      expect(await engine.ok("run", "--rm", name, "stat", "-c", "%s", "/large")).toBe("60000000");
    },
    TIMEOUT,
  );

  for (const [what, lines] of [
    ["one layer of 60 MB", ["RUN head -c 60000000 /dev/urandom > /large"]],
    [
      "ten layers of 4 MB",
      Array.from({ length: 10 }, (_, index) => `RUN head -c 4000000 /dev/urandom > /part${index}`),
    ],
  ] as const) {
    test(
      `a daemon that is killed at 95 % of a pull of ${what} fetches less than 6 % again`,
      async () => {
        await using proxy = await CountingProxy.start(Number(registry.host.split(":")[1]));
        const name = `localhost:${proxy.port}/killed/${lines.length}:v1`;
        const context = engine.context({ Dockerfile: `FROM ${BASE}\n${lines.join("\n")}\n` });
        await engine.ok("build", "-q", "--push", "-t", name, context);
        const forget = async () => {
          await engine.ok("rmi", name);
          await engine.ok("builder", "prune", "-af");
        };
        await forget();
        proxy.count();
        await engine.ok("pull", "-q", name);
        const whole = proxy.passed;
        await forget();
        const killed = proxy.count(whole * 0.95).then(() => process.kill(engine.daemonPid, "SIGKILL"));
        const pulling = engine.slipway(["pull", name]);
        await killed;
        await engine.stopDaemon("SIGKILL");
        expect((await pulling).code).toBe(1);
        await engine.startDaemon();
        proxy.count();
        await engine.ok("pull", name);
        expect(proxy.passed).toBeLessThan(whole * 0.06);
      },
      TIMEOUT,
    );
  }
});
