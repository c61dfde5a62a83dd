import { expect, test } from "bun:test";
import { silentLogger } from "@slipway/base";
import type { Backends } from "../backend.ts";
import { serveApi } from "../server.ts";
import { clientFrame } from "../testing/client-frame.ts";
import { EchoSession, fakeBackends, fakeLogs, someContainer } from "../testing/fake-backends.ts";
import { RawClient } from "../testing/raw-client.ts";
import { withServer } from "../testing/with-server.ts";

const HANDSHAKE = [
  ...["Host: x", "Connection: keep-alive, Upgrade", "Upgrade: websocket"],
  ...["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"],
].join("\r\n");

function backendsWith(session: EchoSession): Backends {
  return fakeBackends({
    containers: {
      inspect: async () => someContainer(),
      attach: async () => session,
      logs: async () =>
        fakeLogs(async function* () {
          yield { stream: "stdout" as const, time: 0n, data: Buffer.from("past\n") };
        }),
    },
  });
}

test("a websocket client types, reads and closes", async () => {
  const session = new EchoSession();
  const server = await serveApi({
    backends: backendsWith(session),
    addresses: [{ kind: "tcp", hostname: "127.0.0.1", port: 0 }],
    log: silentLogger,
  });
  const url = `${server.addresses[0]?.replace("tcp:", "ws:")}/v1.43/containers/web/attach/ws?stream=1&stdin=1&stdout=1&stderr=1&logs=1`;
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  let received = "";
  const closed = new Promise<CloseEvent>((resolve) => {
    socket.onclose = resolve;
  });
  const echoed = new Promise<void>((resolve) => {
    socket.onmessage = ({ data }) => {
      received += Buffer.from(data as ArrayBuffer).toString();
      if (received.includes("err:hello")) resolve();
    };
  });
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  socket.send("hello");
  await echoed;
  expect(received).toBe("past\nout:helloerr:hello");
  socket.close(1000);
  expect((await closed).code).toBe(1000);
  expect(session.detached).toBe(true);
  await server.close(0);
});

test("the end of the container closes the websocket", async () => {
  const session = new EchoSession();
  await withServer(backendsWith(session), async ({ socket }) => {
    const client = await RawClient.open(socket);
    client.send(`GET /containers/web/attach/ws?stream=1&stdout=1 HTTP/1.1\r\n${HANDSHAKE}\r\n\r\n`);
    // The answer to the key of RFC 6455, section 1.3.
    expect(await client.until("\r\n\r\n")).toContain("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    session.say("stdout", "last words");
    session.closeStdin();
    const rest = await client.rest();
    expect(rest.subarray(0, 12)).toEqual(Buffer.concat([Buffer.from([0x82, 10]), Buffer.from("last words")]));
    expect(rest.subarray(-4)).toEqual(Buffer.from([0x88, 2, 0x03, 0xe8]));
  });
});

test("a ping is answered, and a frame without a mask ends the websocket with 1002", async () => {
  const session = new EchoSession();
  await withServer(backendsWith(session), async ({ socket }) => {
    const client = await RawClient.open(socket);
    client.send(`GET /containers/web/attach/ws?stream=1&stdin=1 HTTP/1.1\r\n${HANDSHAKE}\r\n\r\n`);
    await client.until("\r\n\r\n");
    client.send(clientFrame(0x9, "there?"));
    expect(await client.until("there?")).toBe("\x8a\x06there?");
    client.send(Buffer.from([0x82, 1, 65]));
    expect((await client.rest()).toString("hex")).toBe("880203ea");
    expect(session.detached).toBe(true);
  });
});

test("before 1.28 output is text, and characters stay whole", async () => {
  const session = new EchoSession();
  await withServer(backendsWith(session), async ({ socket }) => {
    const client = await RawClient.open(socket);
    client.send(`GET /v1.27/containers/web/attach/ws?stream=1 HTTP/1.1\r\n${HANDSHAKE}\r\n\r\n`);
    await client.until("\r\n\r\n");
    session.say("stdout", "ä!");
    expect(await client.until("!")).toBe("\x81\x03\xc3\xa4!");
    client.destroy();
  });
});

test.each([
  ["GET /containers/web/attach/ws?stream=1", "Connection: close"],
  ["GET /containers/web/attach/ws?stream=1", HANDSHAKE.replace("Version: 13", "Version: 8")],
  ["GET /containers/web/attach/ws?stream=1&detachKeys=longword", HANDSHAKE],
])("%s with %s is a plain 400", async (line, headers) => {
  await withServer(backendsWith(new EchoSession()), async ({ socket }) => {
    const client = await RawClient.open(socket);
    client.send(`${line} HTTP/1.1\r\nHost: x\r\n${headers.replace("Host: x\r\n", "")}\r\n\r\n`);
    expect(await client.until("\r\n")).toStartWith("HTTP/1.1 400");
    client.destroy();
  });
});
