import { describe, expect, test } from "bun:test";
import { SlipwayError } from "@slipway/base";
import type { Digest, ImageId } from "@slipway/oci";
import type { BuildRequest, CreateContainer, LogQuery } from "./backend.ts";
import { EchoSession, fakeBackends, someContainer } from "./testing/fake-backends.ts";
import { RawClient } from "./testing/raw-client.ts";
import { withServer } from "./testing/with-server.ts";

const IMAGE = `sha256:${"a".repeat(64)}` as Digest as ImageId;

async function message(response: Response): Promise<string> {
  return ((await response.json()) as { message: string }).message;
}

describe("versions", () => {
  test("ping tells what clients negotiate with, with and without a body", async () => {
    await withServer(fakeBackends(), async ({ request }) => {
      for (const method of ["GET", "HEAD"]) {
        const response = await request("/_ping", { method });
        expect(response.status).toBe(200);
        expect(response.headers.get("api-version")).toBe("1.51");
        expect(response.headers.get("ostype")).toBe("linux");
        expect(response.headers.get("builder-version")).toBe("1");
        expect(response.headers.get("docker-experimental")).toBe("false");
        expect(response.headers.get("swarm")).toBe("inactive");
        expect(response.headers.get("server")).toBe("Slipway/0.1.0 (linux)");
        expect(await response.text()).toBe(method === "GET" ? "OK" : "");
      }
    });
  });

  test.each([
    ["/v1.24/info", 200, ""],
    ["/v1.51/info", 200, ""],
    ["/info", 200, ""],
    ["/v1.99/info", 400, "client version 1.99 is too new. Maximum supported API version is 1.51"],
    ["/v2.0/info", 400, "client version 2.0 is too new. Maximum supported API version is 1.51"],
    [
      "/v1.20/info",
      400,
      "client version 1.20 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
    ],
    ["/v1.43/nothing", 404, "page not found"],
    ["/vx/info", 404, "page not found"],
  ])("%s answers %d %s", async (path, status, text) => {
    await withServer(fakeBackends(), async ({ request }) => {
      const response = await request(path);
      expect(response.status).toBe(status);
      if (status !== 200) expect(await message(response)).toBe(text);
    });
  });
});

describe("errors", () => {
  test.each([
    ["invalid", 400],
    ["not-found", 404],
    ["conflict", 409],
    ["already-exists", 409],
    ["not-modified", 304],
    ["forbidden", 403],
    ["not-implemented", 501],
    ["unavailable", 503],
    ["internal", 500],
  ] as const)("%s is %d", async (code, status) => {
    const start = async () => {
      throw new SlipwayError(code, "the reason", { hint: "do this" });
    };
    await withServer(fakeBackends({ containers: { start } }), async ({ request }) => {
      const response = await request("/containers/x/start", { method: "POST" });
      expect(response.status).toBe(status);
      if (status !== 304) expect(await response.json()).toEqual({ message: "the reason", code, hint: "do this" });
    });
  });

  test.each([
    ["POST", "/swarm/init", 503, "This node is not a swarm manager."],
    ["GET", "/services", 503, "This node is not a swarm manager."],
    ["POST", "/services/create", 503, "This node is not a swarm manager."],
    ["GET", "/plugins/x/json", 404, 'plugin "x" not found'],
    ["POST", "/commit", 501, "not supported yet: committing a container"],
    ["POST", "/images/create?fromImage=alpine", 501, "cannot pull alpine: registries are not supported yet"],
    ["POST", "/containers/%ff/start", 400, "wrong percent escape"],
    ["POST", "/containers/a%00b/start", 400, "control character"],
    ["GET", "/containers/json?limit=abc", 400, "'abc' is not an integer"],
    ["GET", "/containers/json?filters=%7B", 400, "filters is not JSON"],
    ["GET", "/containers/json?filters=%7B%22status%22%3A3%7D", 400, "status: expected an object"],
    ["GET", "/system/df?type=rubbish", 400, "unknown object type: rubbish"],
    ["GET", "/events?since=yesterday", 400, "'yesterday' is not a time"],
    ["POST", "/containers/x/wait?condition=tomorrow", 400, 'invalid condition: "tomorrow"'],
    ["POST", "/build?version=2", 501, "BuildKit's session API"],
    ["POST", "/build?networkmode=container:x", 400, "not supported by builds"],
    ["POST", "/build?buildargs=%5B1%5D", 400, "buildargs: expected an object"],
  ])("%s %s answers %d", async (method, path, status, text) => {
    await withServer(fakeBackends(), async ({ request }) => {
      const response = await request(path, { method });
      expect(response.status).toBe(status);
      expect(await message(response)).toContain(text);
    });
  });

  test("a web page cannot talk to a loopback port", async () => {
    const { serveApi } = await import("./server.ts");
    const { silentLogger } = await import("@slipway/base");
    const server = await serveApi({
      backends: fakeBackends(),
      addresses: [{ kind: "tcp", hostname: "127.0.0.1", port: 0 }],
      log: silentLogger,
    });
    const url = `${server.addresses[0]?.replace("tcp:", "http:")}/_ping`;
    expect((await fetch(url)).status).toBe(200);
    expect((await fetch(url, { headers: { Host: "evil.example" } })).status).toBe(403);
    expect((await fetch(url, { headers: { Origin: "http://evil.example" } })).status).toBe(403);
    await server.close(0);
  });
});

describe("creating a container", () => {
  async function created(body: unknown, path = "/containers/create?name=web"): Promise<CreateContainer> {
    let seen: CreateContainer | undefined;
    const create = async (request: CreateContainer) => {
      seen = request;
      return { id: "1", warnings: [] };
    };
    await withServer(fakeBackends({ containers: { create } }), async ({ request }) => {
      const headers = { "Content-Type": "application/json" };
      const response = await request(path, { method: "POST", body: JSON.stringify(body), headers });
      if (response.status !== 201) throw new Error(await message(response));
      expect(await response.json()).toEqual({ Id: "1", Warnings: [] });
    });
    if (seen === undefined) throw new Error("create was not called");
    return seen;
  }

  test("what the docker CLI sends arrives typed, its empty values as absent", async () => {
    const request = await created({
      Hostname: "",
      Image: "busybox",
      Cmd: ["sh"],
      Env: null,
      ExposedPorts: { "80/tcp": {} },
      Labels: { a: "b" },
      HostConfig: {
        Binds: ["/a:/b:ro"],
        PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "8080" }] },
        NetworkMode: "bridge",
        Memory: 0,
        NanoCpus: 1_500_000_000,
        ShmSize: 0,
        ConsoleSize: [0, 0],
        RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
        LogConfig: { Type: "", Config: {} },
        BlkioWeightDevice: [],
        DeviceRequests: null,
        Links: null,
      },
      NetworkingConfig: { EndpointsConfig: { bridge: { Aliases: ["w"], IPAMConfig: { IPv4Address: "10.0.0.2" } } } },
    });
    expect(request).toEqual({
      name: "web",
      config: {
        Hostname: "",
        Image: "busybox",
        Cmd: ["sh"],
        ExposedPorts: { "80/tcp": {} },
        Labels: { a: "b" },
      },
      hostConfig: {
        Binds: ["/a:/b:ro"],
        PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "8080" }] },
        NetworkMode: "bridge",
        NanoCpus: 1_500_000_000,
        RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
      },
      networks: { bridge: { aliases: ["w"], ipv4: "10.0.0.2" } },
    });
  });

  test.each([
    ["No such image: x:latest", 404],
    ["network x not found", 400],
  ])("only a missing image is a 404, for which clients pull: %s", async (text, status) => {
    const create = async () => {
      throw new SlipwayError("not-found", text);
    };
    await withServer(fakeBackends({ containers: { create } }), async ({ request }) => {
      const headers = { "Content-Type": "application/json" };
      const response = await request("/containers/create", { method: "POST", body: '{"Image":"x"}', headers });
      expect(response.status).toBe(status);
      expect(await message(response)).toBe(text);
    });
  });

  test("a command that is one string is a list of one", async () => {
    expect((await created({ Image: "x", Cmd: "true" })).config.Cmd).toEqual(["true"]);
  });

  test.each([
    [{ Image: "x", Env: "A=1" }, "request body: Env: expected a list, got string"],
    [{ Image: "x", HostConfig: { Memory: 1.5 } }, "Memory: expected an integer"],
    [{ Image: "x", HostConfig: { Links: ["a:b"] } }, "HostConfig.Links is not supported yet"],
    [{ Image: "x", HostConfig: { Mounts: [{ Type: "npipe", Target: "/x" }] } }, "mount type 'npipe' is not supported"],
    [[1], "expected an object, got a list"],
  ])("%j is refused: %s", async (body, text) => {
    await expect(created(body)).rejects.toThrow(text);
  });

  test("a body that is not JSON, or of another type, or too large, or missing is refused", async () => {
    await withServer(fakeBackends(), async ({ request }) => {
      const post = async (body: string | undefined, type: string) => {
        const response = await request("/containers/create", {
          method: "POST",
          headers: { "Content-Type": type },
          ...(body !== undefined && { body }),
        });
        expect(response.status).toBe(400);
        return await message(response);
      };
      expect(await post("{", "application/json")).toContain("is not JSON");
      expect(await post("{}", "text/plain")).toBe(
        "unsupported Content-Type header (text/plain): must be 'application/json'",
      );
      expect(await post(`"${"x".repeat(5_000_000)}"`, "application/json")).toContain("larger than");
      expect(await post(undefined, "application/json")).toContain("config cannot be empty");
      expect(await post("[".repeat(200_000), "application/json")).toContain("is not JSON");
    });
  });
});

describe("streams", () => {
  test("output without a terminal is framed, and both content types have their versions", async () => {
    for (const [version, type] of [
      ["1.41", "application/vnd.docker.raw-stream"],
      ["1.42", "application/vnd.docker.multiplexed-stream"],
    ]) {
      const session = new EchoSession();
      const backends = fakeBackends({
        containers: { inspect: async () => someContainer(), attach: async () => session },
      });
      await withServer(backends, async ({ socket }) => {
        const client = await RawClient.open(socket);
        client.send(
          `POST /v${version}/containers/web/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`,
        );
        expect(await client.until("\r\n\r\n")).toContain(`Content-Type: ${type}\r\n`);
        client.send("hi");
        await client.until("\x01\0\0\0\0\0\0\x06out:hi\x02\0\0\0\0\0\0\x06err:hi");
        client.halfClose();
        expect((await client.rest()).toString("latin1")).toBe("\x01\0\0\0\0\0\0\x05bye 2");
      });
    }
  });

  test("the detach keys end a terminal's session, also when they come in pieces", async () => {
    const session = new EchoSession();
    const backends = fakeBackends({
      containers: {
        inspect: async () => someContainer({ config: { Image: "x", Tty: true } }),
        attach: async () => session,
      },
    });
    await withServer(backends, async ({ socket }) => {
      const client = await RawClient.open(socket);
      client.send(
        "POST /containers/web/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
      );
      client.send("a\x10b");
      await client.until("out:a\x10b");
      client.send("\x10");
      client.send("\x11");
      await client.rest();
      expect(session.detached).toBe(true);
    });
  });

  test("wait sends its head before the container ends, and a missing container is a 404", async () => {
    let exit: (code: number) => void = () => {};
    const ended = new Promise<number>((resolve) => {
      exit = resolve;
    });
    const backends = fakeBackends({
      containers: {
        async wait(name, { registered }) {
          if (name !== "web") throw new SlipwayError("not-found", `No such container: ${name}`);
          registered();
          return { exitCode: await ended };
        },
      },
    });
    await withServer(backends, async ({ socket, request }) => {
      const client = await RawClient.open(socket);
      client.send("POST /containers/web/wait?condition=next-exit HTTP/1.1\r\nHost: d\r\n\r\n");
      expect(await client.until("\r\n\r\n")).toStartWith("HTTP/1.1 200 OK\r\n");
      exit(7);
      expect(await client.until("\n\r\n0\r\n\r\n")).toContain('{"StatusCode":7}');
      client.destroy();
      const response = await request("/containers/other/wait", { method: "POST" });
      expect(response.status).toBe(404);
      expect(await message(response)).toBe("No such container: other");
    });
  });

  test("logs take Docker's ways of writing times and counts, and put timestamps before lines", async () => {
    let query: LogQuery | undefined;
    const logs = async (_: string, given: LogQuery) => {
      query = given;
      return (async function* () {
        yield { stream: "stdout" as const, time: 1_700_000_000_123_456_789n, data: Buffer.from("one\n") };
      })();
    };
    const backends = fakeBackends({ containers: { inspect: async () => someContainer(), logs } });
    await withServer(backends, async ({ request }) => {
      const path = "/containers/web/logs?stdout=1&since=1700000000.5&until=2023-11-15T00:00:00Z&tail=3&timestamps=1";
      const bytes = Buffer.from(await (await request(path)).arrayBuffer());
      expect(bytes.toString("latin1")).toBe("\x01\0\0\0\0\0\0\x232023-11-14T22:13:20.123456789Z one\n");
      expect(query).toMatchObject({ stdout: true, stderr: false, follow: false, tail: 3 });
      expect(query?.since).toBe(1_700_000_000_500_000_000n);
      expect(query?.until).toBe(1_700_006_400_000_000_000n);
      expect(await message(await request("/containers/web/logs?stdout=1&tail=many"))).toContain(
        "error converting tail",
      );
      expect(await message(await request("/containers/web/logs"))).toContain("you must choose at least one stream");
    });
  });

  test("a client that leaves ends the following of logs", async () => {
    let signal: AbortSignal | undefined;
    const logs = async (_: string, query: LogQuery) => {
      signal = query.signal;
      return (async function* () {
        yield { stream: "stdout" as const, time: 0n, data: Buffer.from("one\n") };
        await new Promise((resolve) => query.signal?.addEventListener("abort", resolve));
      })();
    };
    const backends = fakeBackends({ containers: { inspect: async () => someContainer(), logs } });
    await withServer(backends, async ({ socket }) => {
      const client = await RawClient.open(socket);
      client.send("GET /containers/web/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: d\r\n\r\n");
      await client.until("one\n");
      expect(signal?.aborted).toBe(false);
      client.destroy();
      for (let i = 0; i < 200 && signal?.aborted === false; i++) await Bun.sleep(5);
      expect(signal?.aborted).toBe(true);
    });
  });

  test("an exec whose program does not exist says so in its stream, not as an HTTP error", async () => {
    const backends = fakeBackends({
      containers: { inspect: async () => someContainer() },
      execs: {
        inspect: async (id) => ({ id, containerId: "c", running: false, pid: 0, config: { Cmd: ["nosuch"] } }),
        start: async () => {
          throw new SlipwayError("invalid", 'exec: "nosuch": not found', { details: { exitCode: 127 } });
        },
      },
    });
    await withServer(backends, async ({ socket }) => {
      const client = await RawClient.open(socket);
      client.send(
        "POST /exec/e/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
      );
      const answer = (await client.rest()).toString("latin1");
      expect(answer).toStartWith("HTTP/1.1 101 UPGRADED\r\n");
      expect(answer).toEndWith('exec: "nosuch": not found\r\n');
    });
  });

  test("a filter that events do not have is an HTTP error", async () => {
    const events = () => {
      throw new SlipwayError("invalid", "invalid filter 'rubbish'");
    };
    await withServer(fakeBackends({ system: { events } }), async ({ request }) => {
      const response = await request('/events?filters={"rubbish":["x"]}');
      expect([response.status, await message(response)]).toEqual([400, "invalid filter 'rubbish'"]);
    });
  });

  test("events are lines with nanoseconds as a number", async () => {
    const event = { type: "container", action: "start", id: "c1", attributes: { image: "x", name: "@nano" } } as const;
    const events = async function* () {
      yield { ...event, time: 1_700_000_000_123_456_789n };
    };
    await withServer(fakeBackends({ system: { events } }), async ({ request }) => {
      const text = await (await request("/events")).text();
      expect(text).toEndWith(',"time":1700000000,"timeNano":1700000000123456789}\n');
      expect(JSON.parse(text)).toMatchObject({ status: "start", from: "x", Actor: { ID: "c1" }, scope: "local" });
    });
  });
});

describe("builds", () => {
  test("the classic endpoint reads all of its query and tells the build in JSON lines", async () => {
    let seen: BuildRequest | undefined;
    const vertex = `sha256:${"b".repeat(64)}` as Digest;
    const backends = fakeBackends({
      builds: {
        async build(request, onEvent) {
          seen = request;
          onEvent({ type: "vertex", id: vertex, name: "[1/2] RUN echo ü", inputs: [], state: "running" });
          const [first, second] = [Buffer.from("ü").subarray(0, 1), Buffer.from("ü").subarray(1)];
          for (const data of [first, second]) onEvent({ type: "log", vertex, stream: "stdout", time: 0, data });
          onEvent({ type: "vertex", id: vertex, name: "[2/2] COPY . .", inputs: [], state: "cached" });
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
        "Step [1/2] RUN echo ü\nüStep [2/2] COPY . .\n ---> Using cache\nSuccessfully built aaaaaaaaaaaa\nSuccessfully tagged web:latest\n",
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

  test("a failure before anything was said is an HTTP error, after that a last line", async () => {
    let speak = false;
    const backends = fakeBackends({
      builds: {
        async build(_, onEvent) {
          if (speak) onEvent({ type: "warning", message: "careful" });
          throw new SlipwayError("invalid", "it failed", { details: { exitCode: 3 } });
        },
      },
    });
    await withServer(backends, async ({ request }) => {
      const early = await request("/build", { method: "POST", body: "tar" });
      expect(early.status).toBe(400);
      expect(await message(early)).toBe("it failed");
      speak = true;
      const late = await request("/build", { method: "POST", body: "tar" });
      expect(late.status).toBe(200);
      expect(await late.text()).toEndWith('{"errorDetail":{"code":3,"message":"it failed"},"error":"it failed"}\n');
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

describe("listening", () => {
  test("a stale socket is replaced, one that answers and a file that is none are not", async () => {
    const { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } = await import("node:fs");
    const { serveApi } = await import("./server.ts");
    const { silentLogger } = await import("@slipway/base");
    const directory = mkdtempSync("/tmp/slipway-listen-");
    const path = `${directory}/s.sock`;
    const serve = (where: string) =>
      serveApi({ backends: fakeBackends(), addresses: [{ kind: "unix", path: where }], log: silentLogger });
    // A daemon that was killed leaves its socket behind.
    const script = `Bun.listen({ unix: "${path}", socket: { data() {} } }); process.kill(process.pid, "SIGKILL")`;
    await Bun.spawn([process.execPath, "-e", script]).exited;
    expect(existsSync(path)).toBe(true);
    const server = await serve(path);
    expect(statSync(path).mode & 0o777).toBe(0o660);
    await expect(serve(path)).rejects.toThrow("another program listens");
    await server.close(0);
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, "precious");
    await expect(serve(path)).rejects.toThrow("is not a socket");
    rmSync(directory, { recursive: true });
  });
});
