import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { CountingProxy } from "./counting-proxy.ts";
import { DockerRegistry } from "./docker-registry.ts";
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
