import type { Random } from "@slipway/testkit";

/** Milliseconds that an answer may take; what asks for nothing gets none. */
const PATIENCE = 300;

/** Sends bytes that are no proper request, in pieces, and leaves. */
export async function sendRaw(socket: string, random: Random): Promise<void> {
  const bytes = Buffer.from(makeRequest(random), "latin1");
  const closed = Promise.withResolvers<void>();
  const drained = { resolve: () => {} };
  const connection = await Bun.connect({
    unix: socket,
    socket: {
      data: () => {},
      drain: () => drained.resolve(),
      close: () => closed.resolve(),
      error: () => closed.resolve(),
    },
  });
  let isOpen = true;
  void closed.promise.then(() => {
    isOpen = false;
    drained.resolve();
  });
  const deadline = performance.now() + PATIENCE;
  for (let at = 0; at < bytes.length && isOpen && performance.now() < deadline; ) {
    const written = connection.write(bytes.subarray(at, at + 1 + random.below(100_000)));
    if (written < 0) break;
    at += written;
    if (written === 0) {
      await Promise.race([Bun.sleep(20), new Promise<void>((resolve) => Object.assign(drained, { resolve }))]);
    }
  }
  await Promise.race([closed.promise, Bun.sleep(random.below(PATIENCE))]);
  if (random.chance(0.5)) connection.terminate();
  else connection.end();
}

function makeRequest(random: Random): string {
  const head = (line: string, ...headers: string[]) => `${[line, "Host: x", ...headers].join("\r\n")}\r\n\r\n`;
  const json = "Content-Type: application/json";
  return random.pick<() => string>([
    () => head("GET /_ping HTTP/1.1", `X: ${"a".repeat(2_000_000)}`),
    () => head("GET /_ping HTTP/1.1", ...Array.from({ length: 20_000 }, (_, n) => `H${n}: v`)),
    () => head(`GET /${"a".repeat(1_000_000)} HTTP/1.1`),
    () => head("POST /containers/create HTTP/1.1", json, "Content-Length: 99999999999999") + "{".repeat(3_000_000),
    () => `${head("POST /containers/create HTTP/1.1", json, "Content-Length: -5")}{}`,
    () => `${head("POST /containers/create HTTP/1.1", json, "Content-Length: 2", "Content-Length: 20")}{}`,
    () =>
      `${head("POST /containers/create HTTP/1.1", json, "Transfer-Encoding: chunked", "Content-Length: 3")}0\r\n\r\n`,
    () => `${head("POST /containers/create HTTP/1.1", json, "Transfer-Encoding: chunked")}ffffffffffffffff\r\n{}`,
    () =>
      `${head("POST /containers/create HTTP/1.1", json, "Transfer-Encoding: chunked")}${"1\r\nx\r\n".repeat(400_000)}0\r\n\r\n`,
    () => `${head("POST /containers/create HTTP/1.1", json, "Transfer-Encoding: gzip")}zzz`,
    () => `${head("POST /containers/create HTTP/1.1", json, "Content-Length: 40000000")}${" ".repeat(40_000_000)}`,
    () => head("GET /_ping HTTP/1.1").repeat(3000),
    () => "GET /_ping\r\n\r\n",
    () => "\r\n".repeat(100_000),
    () => head("BREW /pot HTCPCP/1.0"),
    () => head("GET http://other/_ping HTTP/1.1"),
    () =>
      head("POST /containers/target/attach?stream=1&stdin=1 HTTP/1.1", "Connection: Upgrade", "Upgrade: tcp") +
      "x".repeat(50_000),
    () => `${head("GET /containers/target/attach/ws?stream=1 HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket")}x`,
    () => `GET /_ping HTTP/1.1\r\nHost: x\r\n folded: y\r\nbad header\r\n: empty\r\n\r\n`,
    () => Buffer.from(random.bytes(5000)).toString("latin1"),
    () => "GET /events HTTP/1.1\r\n",
  ])();
}
