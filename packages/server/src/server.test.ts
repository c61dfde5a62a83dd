import { describe, expect, test } from "bun:test";
import { didYouMean, SlipwayError } from "@slipway/base";
import type { LogQuery } from "./backend.ts";
import { EchoSession, fakeBackends, fakeLogs, someContainer } from "./testing/fake-backends.ts";
import { RawClient } from "./testing/raw-client.ts";
import { withServer } from "./testing/with-server.ts";

async function message(response: Response): Promise<string> {
  return ((await response.json()) as { message: string }).message;
}

describe("versions", () => {
  test("ping tells what clients negotiate with, with and without a body", async () => {
    await withServer(fakeBackends(), async ({ request }) => {
      for (const method of ["GET", "HEAD"]) {
        const response = await request("/_ping", { method });
        expect(response.status).toBe(200);
        expect(response.headers.get("api-version")).toBe("1.55");
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
    ["/v1.55/info", 200, ""],
    ["/info", 200, ""],
    ["/v1.99/info", 400, "client version 1.99 is too new. Maximum supported API version is 1.55"],
    ["/v2.0/info", 400, "client version 2.0 is too new. Maximum supported API version is 1.55"],
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

  test("the nearest name stands in the message, for clients that know of no hint", async () => {
    const start = async () => {
      const nearest = didYouMean("webservr", ["webserver", "database"]);
      throw new SlipwayError("not-found", "No such container: webservr", nearest);
    };
    await withServer(fakeBackends({ containers: { start } }), async ({ request }) => {
      const response = await request("/containers/webservr/start", { method: "POST" });
      expect(await response.json()).toMatchObject({
        message: "No such container: webservr\nDid you mean 'webserver'?",
        hint: "Did you mean 'webserver'?",
      });
    });
  });

  test.each([
    ["POST", "/swarm/init", 503, "This node is not a swarm manager."],
    ["GET", "/services", 503, "This node is not a swarm manager."],
    ["POST", "/services/create", 503, "This node is not a swarm manager."],
    ["GET", "/plugins/x/json", 404, 'plugin "x" not found'],
    ["POST", "/session", 501, "not supported yet: BuildKit's session API"],
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
      return fakeLogs(async function* () {
        yield { stream: "stdout" as const, time: 1_700_000_000_123_456_789n, data: Buffer.from("one\n") };
      });
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
      return fakeLogs(async function* () {
        yield { stream: "stdout" as const, time: 0n, data: Buffer.from("one\n") };
        await new Promise((resolve) => query.signal?.addEventListener("abort", resolve));
      });
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

  test.each([
    ['{"Tty":false}', "\x01\0\0\0\0\0\0\x05hello"],
    ['{"Tty":true}', "hello"],
  ])("the start of an exec with a terminal says by %p whether its output comes in frames", async (body, expected) => {
    const session = {
      output: (async function* () {
        yield { stream: "stdout" as const, data: Buffer.from("hello") };
      })(),
      write: async () => {},
      closeStdin: () => {},
      detach: () => {},
    };
    const config = { Cmd: ["greet"], Tty: true };
    const backends = fakeBackends({
      containers: { inspect: async () => someContainer() },
      execs: {
        inspect: async (id) => ({ id, containerId: "c", running: false, pid: 0, config }),
        start: async () => session,
      },
    });
    await withServer(backends, async ({ request }) => {
      const answer = await request("/exec/e/start", { method: "POST", body });
      expect(Buffer.from(await answer.arrayBuffer()).toString("latin1")).toBe(expected);
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
      const text = await (await request("/v1.51/events")).text();
      expect(text).toEndWith(',"time":1700000000,"timeNano":1700000000123456789}\n');
      expect(JSON.parse(text)).toMatchObject({ status: "start", from: "x", Actor: { ID: "c1" }, scope: "local" });
    });
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
