import { describe, expect, test } from "bun:test";
import { SlipwayError } from "@slipway/base";
import type { Digest, ImageId } from "@slipway/oci";
import type { BuildRequest } from "../backend.ts";
import { fakeBackends } from "../testing/fake-backends.ts";
import { withServer } from "../testing/with-server.ts";

const IMAGE = `sha256:${"a".repeat(64)}` as Digest as ImageId;

async function message(response: Response): Promise<string> {
  return ((await response.json()) as { message: string }).message;
}

describe("builds", () => {
  test("the classic endpoint reads all of its query and tells the build in JSON lines", async () => {
    let seen: BuildRequest | undefined;
    const vertex = `sha256:${"b".repeat(64)}` as Digest;
    const backends = fakeBackends({
      builds: {
        async build(request, onEvent) {
          seen = request;
          onEvent({ type: "vertex", id: vertex, name: "[1/3] RUN echo ü", inputs: [], state: "running" });
          const [first, second] = [Buffer.from("ü").subarray(0, 1), Buffer.from("ü").subarray(1)];
          for (const data of [first, second]) onEvent({ type: "log", vertex, stream: "stdout", time: 0, data });
          onEvent({ type: "vertex", id: vertex, name: "[2/3] COPY . .", inputs: [], state: "cached" });
          onEvent({ type: "vertex", id: vertex, name: "[last 1/1] FROM web", inputs: [], state: "cached" });
          return { imageId: IMAGE, names: ["web:latest"] };
        },
      },
    });
    await withServer(backends, async ({ request }) => {
      const query = new URLSearchParams({
        dockerfile: "sub/Dockerfile",
        t: "web",
        buildargs: '{"A":"1","B":null}',
        labels: '{"l":"v"}',
        target: "final",
        nocache: "1",
        pull: "1",
        networkmode: "host",
        extrahosts: "a:1.2.3.4,b:5.6.7.8",
        shmsize: "1048576",
        platform: "linux/amd64",
      });
      query.append("t", "web:2");
      const response = await request(`/build?${query}`, { method: "POST", body: "tar" });
      const lines = (await response.text())
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      expect(lines.map((line) => line.stream).join("")).toBe(
        "Step 1/3 : RUN echo ü\nüStep 2/3 : COPY . .\n ---> Using cache\nStep 1/1 : FROM web # last\nSuccessfully built aaaaaaaaaaaa\nSuccessfully tagged web:latest\n",
      );
      expect(lines).toContainEqual({ aux: { ID: IMAGE } });
      expect(seen).toMatchObject({
        dockerfile: { path: "sub/Dockerfile" },
        tags: ["web", "web:2"],
        buildArgs: { A: "1" },
        labels: { l: "v" },
        target: "final",
        noCache: true,
        pull: true,
        network: "host",
        extraHosts: ["a:1.2.3.4", "b:5.6.7.8"],
        shmSize: 1048576,
      });
    });
  });

  test("a client that does not read loses output, not the result, and not the daemon's memory", async () => {
    const vertex = `sha256:${"b".repeat(64)}` as Digest;
    const line = Buffer.from("y\n".repeat(32 * 1024));
    const backends = fakeBackends({
      builds: {
        async build(_, onEvent) {
          for (let i = 0; i < 1000; i++) onEvent({ type: "log", vertex, stream: "stdout", time: 0, data: line });
          return { imageId: IMAGE, names: [] };
        },
      },
    });
    await withServer(backends, async ({ request }) => {
      const answer = await (await request("/build", { method: "POST", body: "tar" })).text();
      expect(answer.length).toBeLessThan(20_000_000);
      expect(answer.match(/output clipped/g)).toHaveLength(1);
      expect(answer).toContain("Successfully built");
    });
  });

  test("what a step prints on standard error is red, as the classic builder has it", async () => {
    const vertex = `sha256:${"b".repeat(64)}` as Digest;
    const backends = fakeBackends({
      builds: {
        async build(_, onEvent) {
          onEvent({ type: "log", vertex, stream: "stderr", time: 0, data: Buffer.from("oh\n") });
          return { imageId: IMAGE, names: [] };
        },
      },
    });
    await withServer(backends, async ({ request }) => {
      const answer = await (await request("/build", { method: "POST", body: "tar" })).text();
      expect(answer.split("\n")).toContain(JSON.stringify({ stream: "\x1b[91moh\n\x1b[0m" }));
    });
  });

  test("a failure before anything was said is an HTTP error, after that a last line", async () => {
    let speak = false;
    const backends = fakeBackends({
      builds: {
        async build(_, onEvent) {
          if (speak) onEvent({ type: "warning", message: "careful" });
          throw new SlipwayError("invalid", "it failed", { details: { exitCode: 3, command: "/bin/sh -c false" } });
        },
      },
    });
    await withServer(backends, async ({ request }) => {
      const early = await request("/build?q=1", { method: "POST", body: "tar" });
      expect(early.status).toBe(400);
      expect(await message(early)).toBe("it failed");
      speak = true;
      const late = await request("/build", { method: "POST", body: "tar" });
      expect(late.status).toBe(200);
      const sentence = "The command '/bin/sh -c false' returned a non-zero code: 3";
      expect((await late.text()).split("\n").slice(1)).toEqual([
        '{"stream":"it failed\\n"}',
        `{"errorDetail":{"code":3,"message":"${sentence}"},"error":"${sentence}"}`,
        "",
      ]);
    });
  });

  test("our own endpoint reads the context in place only when both see the same directory", async () => {
    const { mkdtempSync, rmSync, statSync } = await import("node:fs");
    const directory = mkdtempSync("/tmp/slipway-context-");
    const { dev, ino } = statSync(directory);
    let seen: BuildRequest | undefined;
    const backends = fakeBackends({
      builds: {
        async build(request) {
          seen = request;
          return { imageId: IMAGE, names: [], stream: new Blob(["output"]).stream() };
        },
      },
    });
    await withServer(backends, async ({ request }) => {
      const send = (context: unknown) =>
        request("/slipway/build", {
          method: "POST",
          body: JSON.stringify({
            context,
            dockerfile: { path: "Dockerfile" },
            secrets: { token: Buffer.from("s3").toString("base64") },
            output: { type: "tar" },
          }),
          headers: { "Content-Type": "application/json" },
        });
      const response = await send({ kind: "local", path: directory, device: dev, inode: String(ino) });
      const result = (await response.json()) as { type: string; outputId: string };
      expect(result).toMatchObject({ type: "result", imageId: IMAGE });
      expect(seen?.context).toEqual({ kind: "local", path: directory });
      expect(Buffer.from(seen?.secrets.get("token") ?? []).toString()).toBe("s3");
      const output = await request(`/slipway/build/outputs/${result.outputId}`);
      expect(await output.text()).toBe("output");
      expect((await request(`/slipway/build/outputs/${result.outputId}`)).status).toBe(404);
      expect((await send({ kind: "local", path: directory, device: dev, inode: ino + 1 })).status).toBe(409);
      expect((await send({ kind: "local", path: "relative", device: 1, inode: 1 })).status).toBe(400);
    });
    rmSync(directory, { recursive: true });
  });
});
