import { expect, test } from "bun:test";
import { SlipwayError } from "@slipway/base";
import { EchoSession, fakeBackends, someContainer } from "../testing/fake-backends.ts";
import { RawClient } from "../testing/raw-client.ts";
import { withServer } from "../testing/with-server.ts";

const UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n";

test("requests that arrive together are answered in order on one connection", async () => {
  await withServer(fakeBackends(), async ({ socket }) => {
    const client = await RawClient.open(socket);
    client.send(
      "GET /_ping HTTP/1.1\r\nHost: d\r\n\r\nGET /nothing HTTP/1.1\r\nHost: d\r\n\r\nGET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n",
    );
    expect(await client.until("\r\n\r\nOK")).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(await client.until("page not found")).toStartWith("HTTP/1.1 404 Not Found\r\n");
    expect((await client.rest()).toString()).toContain("Connection: close");
  });
});

test("a request that comes byte by byte is understood", async () => {
  await withServer(fakeBackends(), async ({ socket }) => {
    const client = await RawClient.open(socket);
    for (const byte of Buffer.from("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")) {
      client.send(Uint8Array.of(byte));
      await Bun.sleep(0);
    }
    await client.until("\r\n\r\nOK");
    client.destroy();
  });
});

for (const [what, request] of Object.entries({
  "no Host": "GET /_ping HTTP/1.1\r\n\r\n",
  "two lengths": "POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
  "length and chunks": "POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
  "a negative length": "POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: -1\r\n\r\n",
  "a folded header": "GET /_ping HTTP/1.1\r\nHost: d\r\n folded\r\n\r\n",
  "a space before the colon": "GET /_ping HTTP/1.1\r\nHost : d\r\n\r\n",
  "a zero byte": "GET /_ping HTTP/1.1\r\nHost: d\0e\r\n\r\n",
  "no request line": "nonsense\r\n\r\n",
  "a lower-case method": "get /_ping HTTP/1.1\r\nHost: d\r\n\r\n",
})) {
  test(`a request with ${what} is refused and the connection closed`, async () => {
    await withServer(fakeBackends(), async ({ socket }) => {
      const client = await RawClient.open(socket);
      client.send(request);
      const answer = (await client.rest()).toString();
      expect(answer).toStartWith("HTTP/1.1 400 Bad Request\r\n");
      expect(answer).toContain('{"message":"bad request: ');
    });
  });
}

test("an endless head is refused", async () => {
  await withServer(fakeBackends(), async ({ socket }) => {
    const client = await RawClient.open(socket);
    client.send("GET /_ping HTTP/1.1\r\nHost: d\r\n");
    for (let i = 0; i < 300; i++) client.send(`X-${i}: ${"y".repeat(1024)}\r\n`);
    expect((await client.rest()).toString()).toContain("the request's head is over");
  });
});

test("a bad chunk ends the body with an error, not with less data", async () => {
  const backends = fakeBackends({
    images: {
      async load(archive) {
        await Bun.readableStreamToBytes(archive);
        return [];
      },
    },
  });
  await withServer(backends, async ({ socket }) => {
    const client = await RawClient.open(socket);
    client.send("POST /images/load HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n");
    expect((await client.rest()).toString()).toContain("chunked body");
  });
});

test("a large body is read as fast as its reader, in bounded memory", async () => {
  const size = 400 * 1024 * 1024;
  const before = process.memoryUsage().rss;
  let peak = 0;
  const backends = fakeBackends({
    images: {
      async load(archive) {
        let received = 0;
        for await (const chunk of archive) {
          received += chunk.length;
          peak = Math.max(peak, process.memoryUsage().rss);
          if (received < 1_000_000) await Bun.sleep(1);
        }
        expect(received).toBe(size);
        return [];
      },
    },
  });
  await withServer(backends, async ({ socket }) => {
    const sender = Bun.spawn(
      ["curl", "-sS", "--unix-socket", socket, "-T", "-", "-X", "POST", "http://d/images/load"],
      { stdin: Bun.spawn(["head", "-c", String(size), "/dev/zero"], { stdout: "pipe" }).stdout, stdout: "pipe" },
    );
    await sender.exited;
  });
  expect(peak).toBeGreaterThan(0);
  expect(peak - before).toBeLessThan(100 * 1024 * 1024);
});

test("a reader that stops makes the producer wait", async () => {
  let produced = 0;
  let stopped = false;
  const endless = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        produced++;
        controller.enqueue(new Uint8Array(64 * 1024));
      },
      cancel() {
        stopped = true;
      },
    },
    { highWaterMark: 0 },
  );
  await withServer(fakeBackends({ images: { save: async () => endless } }), async ({ socket }) => {
    const client = await RawClient.open(socket);
    client.send("GET /images/x/get HTTP/1.1\r\nHost: d\r\n\r\n");
    await client.until("\r\n\r\n");
    client.destroy();
    for (let i = 0; i < 200 && !stopped; i++) await Bun.sleep(5);
    expect(stopped).toBe(true);
    expect(produced).toBeLessThan(1000);
  });
});

test("the end of the client's input reaches the process while its output goes on", async () => {
  const session = new EchoSession();
  const backends = fakeBackends({
    containers: {
      inspect: async () => someContainer({ config: { Image: "x", Tty: true } }),
      attach: async () => session,
    },
  });
  await withServer(backends, async ({ socket }) => {
    const client = await RawClient.open(socket);
    client.send(`POST /v1.43/containers/web/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\n${UPGRADE}\r\n`);
    expect(await client.until("\r\n\r\n")).toBe(
      "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
    );
    client.send("hello");
    await client.until("out:hello");
    client.send(new Uint8Array(3_000_000));
    client.halfClose();
    expect((await client.rest()).toString()).toBe("bye 3000005");
  });
});

test("input that is sent together with the request is not lost", async () => {
  const session = new EchoSession();
  const backends = fakeBackends({
    containers: {
      inspect: async () => someContainer({ config: { Image: "x", Tty: true } }),
      attach: async () => session,
    },
  });
  await withServer(backends, async ({ socket }) => {
    const client = await RawClient.open(socket);
    client.send(`POST /containers/web/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\n${UPGRADE}\r\nearly`);
    client.halfClose();
    expect((await client.rest()).toString()).toEndWith("out:earlybye 5");
  });
});

test("a client without upgrade gets a bare stream, and its chunked body is the input", async () => {
  const session = new EchoSession();
  const backends = fakeBackends({ containers: { inspect: async () => someContainer(), attach: async () => session } });
  await withServer(backends, async ({ socket }) => {
    const client = await RawClient.open(socket);
    client.send(
      "POST /containers/web/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
    );
    expect(await client.until("\r\n\r\n")).toStartWith("HTTP/1.1 200 OK\r\n");
    await client.until("\x01\0\0\0\0\0\0\x06out:hi\x02\0\0\0\0\0\0\x06err:hi");
    client.send("0\r\n\r\n");
    expect((await client.rest()).toString("latin1")).toBe("\x01\0\0\0\0\0\0\x05bye 2");
  });
});

test("a client that goes away ends its session", async () => {
  const session = new EchoSession();
  const backends = fakeBackends({ containers: { inspect: async () => someContainer(), attach: async () => session } });
  await withServer(backends, async ({ socket }) => {
    const client = await RawClient.open(socket);
    client.send(`POST /containers/web/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\n${UPGRADE}\r\n`);
    await client.until("\r\n\r\n");
    client.destroy();
    for (let i = 0; i < 200 && !session.detached; i++) await Bun.sleep(5);
    expect(session.detached).toBe(true);
  });
});

test("a stream that fails half-way is cut, so that nobody takes it for whole", async () => {
  const broken = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(Buffer.from("part"));
    },
    pull(controller) {
      controller.error(new SlipwayError("corrupt", "bad digest"));
    },
  });
  await withServer(fakeBackends({ images: { save: async () => broken } }), async ({ socket }) => {
    const client = await RawClient.open(socket);
    client.send("GET /images/x/get HTTP/1.1\r\nHost: d\r\n\r\n");
    const answer = (await client.rest()).toString();
    expect(answer).not.toContain("\r\n0\r\n\r\n");
  });
});
