import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { connect } from "node:net";
import { BASE, Engine } from "./harness.ts";

/** The API as a program sees it that speaks HTTP by itself. */
let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

async function call(method: string, path: string, body?: unknown): Promise<Response> {
  return await fetch(`http://engine${path}`, {
    ...{ unix: engine.socket, method },
    ...(body !== undefined && { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
  });
}

async function create(config: object): Promise<string> {
  const response = await call("POST", "/containers/create", { Image: BASE, ...config });
  expect(response.status).toBe(201);
  return ((await response.json()) as { Id: string }).Id;
}

test("fifty containers that do not heed their signal stop side by side", async () => {
  const config = { Cmd: ["sh", "-c", "trap '' TERM; while :; do sleep 60; done"], HostConfig: { NetworkMode: "none" } };
  const ids = await Promise.all(Array.from({ length: 50 }, () => create(config)));
  const start = async (id: string) => (await call("POST", `/containers/${id}/start`)).status;
  expect(new Set(await Promise.all(ids.map(start)))).toEqual(new Set([204]));
  const began = performance.now();
  const stop = async (id: string) => (await call("POST", `/containers/${id}/stop?t=2`)).status;
  expect(new Set(await Promise.all(ids.map(stop)))).toEqual(new Set([204]));
  // One after the other would take a hundred seconds.
  expect(performance.now() - began).toBeLessThan(20_000);
  await Promise.all(ids.map((id) => call("DELETE", `/containers/${id}`)));
}, 120_000);

test("a websocket attached before the start misses nothing, types, and is closed at the end", async () => {
  const id = await create({ Cmd: ["sh", "-c", "read line; echo got $line"], OpenStdin: true, StdinOnce: true });
  const key = randomBytes(16).toString("base64");
  const socket = connect({ path: engine.socket });
  const received: Buffer[] = [];
  socket.on("data", (data: Buffer) => received.push(data));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  const head = [
    `GET /v1.43/containers/${id}/attach/ws?stream=1&stdin=1&stdout=1 HTTP/1.1`,
    ...["Host: engine", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
    `Sec-WebSocket-Key: ${key}`,
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  await new Promise((resolve) => socket.once("data", resolve));
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  expect(Buffer.concat(received).toString()).toContain(`Sec-WebSocket-Accept: ${accept}`);
  expect((await call("POST", `/containers/${id}/start`)).status).toBe(204);
  // A text frame of six bytes under a mask of zeros.
  socket.write(Buffer.concat([Buffer.from([0x81, 0x86, 0, 0, 0, 0]), Buffer.from("hello\n")]));
  await closed;
  const frames = Buffer.concat(received).toString("latin1").split("\r\n\r\n")[1] ?? "";
  expect(frames).toBe("\x82\x0agot hello\n\x88\x02\x03\xe8");
  await call("DELETE", `/containers/${id}`);
});

test("events are still told after the daemon was killed", async () => {
  const since = Math.floor(Date.now() / 1000) - 1;
  const id = await create({ Cmd: ["true"], Labels: { mark: "kept" } });
  await call("POST", `/containers/${id}/start`);
  // The end may come before or after the daemon's.
  await engine.stopDaemon("SIGKILL");
  await engine.startDaemon();
  await (await call("POST", `/containers/${id}/wait`)).text();
  const until = Math.floor(Date.now() / 1000) + 1;
  const filters = encodeURIComponent(JSON.stringify({ container: [id], label: ["mark=kept"] }));
  const text = await (await call("GET", `/events?since=${since}&until=${until}&filters=${filters}`)).text();
  const actions = text
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { Action: string }).Action);
  expect(actions).toEqual(["create", "start", "die"]);
  await call("DELETE", `/containers/${id}`);
});

test("logs tell both streams apart, and details and times when asked for", async () => {
  const id = await create({
    ...{ Cmd: ["sh", "-c", "echo out; echo err >&2"], Labels: { tier: "front" }, Env: ["A=b c"] },
    HostConfig: { LogConfig: { Type: "json-file", Config: { labels: "tier", env: "A" } } },
  });
  await call("POST", `/containers/${id}/start`);
  await (await call("POST", `/containers/${id}/wait`)).text();
  const logs = async (query: string) => (await call("GET", `/containers/${id}/logs?${query}`)).text();
  expect(await logs("stdout=1")).toBe("\x01\0\0\0\0\0\0\x04out\n");
  expect(await logs("stderr=1&details=1")).toBe("\x02\0\0\0\0\0\0\x15A=b+c,tier=front err\n");
  expect(await logs("stdout=1&timestamps=1&details=1")).toMatch(/\d{9}Z A=b\+c,tier=front out\n$/);
  expect(await logs("stdout=1&stderr=1&tail=0")).toBe("");
  expect(await logs("stdout=1&since=10m")).toEndWith("out\n");
  expect(await logs(`stdout=1&until=${(Date.now() / 1000 - 60).toFixed(3)}`)).toBe("");
  await call("DELETE", `/containers/${id}`);
});
