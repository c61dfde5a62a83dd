import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { type Front, type FrontOptions, IDLE_SECONDS, STOP_STEP_MS, type TlsPair } from "./front.ts";

/**
 * `node:http`, for storage that gives blobs as streams: clients count on the `Content-Length` of a blob, which Bun's server
 * does not send with a stream.
 */
export async function nodeFront({ answer, hostname, port, tls }: FrontOptions): Promise<Front> {
  let underWay = 0;
  const listener = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    underWay++;
    outgoing.once("close", () => underWay--);
    void exchange(answer, incoming, outgoing).catch(() => outgoing.destroy());
  };
  const secure = tls === undefined ? undefined : createTlsServer({ cert: tls.cert, key: tls.key }, listener);
  const server = secure ?? createServer(listener);
  server.timeout = IDLE_SECONDS * 1000;
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async stop(patience) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const deadline = Date.now() + patience;
      while (underWay > 0 && Date.now() < deadline) await Bun.sleep(STOP_STEP_MS);
      server.closeAllConnections();
      await closed;
    },
    reload: (pair: TlsPair) => secure?.setSecureContext({ cert: pair.cert, key: pair.key }),
  };
}

async function exchange(
  answer: FrontOptions["answer"],
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const { method = "GET", url = "/" } = incoming;
  const gone = new AbortController();
  outgoing.once("close", () => gone.abort());
  const hasBody = method !== "GET" && method !== "HEAD";
  const request = new Request(`http://registry${url}`, {
    method,
    headers: headersOf(incoming),
    signal: gone.signal,
    ...(hasBody && { body: Readable.toWeb(incoming) as ReadableStream<Uint8Array>, duplex: "half" }),
  });
  const response = await answer(request, incoming.socket.remoteAddress ?? "");
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  if (method === "HEAD" || response.body === null) return void outgoing.end();
  for await (const chunk of response.body) {
    if (gone.signal.aborted) return;
    if (!outgoing.write(chunk)) await drained(outgoing);
  }
  outgoing.end();
}

function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      outgoing.off("drain", done);
      outgoing.off("close", done);
      resolve();
    };
    outgoing.once("drain", done);
    outgoing.once("close", done);
  });
}

function headersOf(incoming: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined && !name.startsWith(":"))
      headers.set(name, Array.isArray(value) ? value.join(", ") : value);
  }
  return headers;
}
