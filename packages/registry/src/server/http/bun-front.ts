import { type Front, type FrontOptions, IDLE_SECONDS, STOP_STEP_MS, type TlsPair } from "./front.ts";

/** Bun's own server: files go from disk to socket by `sendfile`. It sends streams in chunks, without their length. */
export function bunFront({ answer, hostname, port, tls }: FrontOptions): Front {
  const options = {
    hostname,
    idleTimeout: IDLE_SECONDS,
    // Bodies are streamed and bounded by the handlers.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch: (request: Request, server: Bun.Server<undefined>) =>
      answer(request, server.requestIP(request)?.address ?? ""),
  };
  const server = Bun.serve({ ...options, port, ...(tls && { tls }) });
  return {
    port: server.port ?? 0,
    async stop(patience) {
      const stopped = server.stop();
      const deadline = Date.now() + patience;
      while (server.pendingRequests > 0 && Date.now() < deadline) await Bun.sleep(STOP_STEP_MS);
      // Connections that are kept alive would hold it up.
      await server.stop(true);
      await stopped;
    },
    reload: (pair: TlsPair) => void server.reload({ ...options, tls: pair } as Bun.Serve.Options<undefined>),
  };
}
