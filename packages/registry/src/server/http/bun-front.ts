import { type Front, type FrontOptions, IDLE_SECONDS, STOP_STEP_MS, type TlsPair } from "./front.ts";

/** Bun's own server: files go from disk to socket by `sendfile`. It sends streams in chunks, without their length. */
export function bunFront({ answer, hostname, port, tls }: FrontOptions): Front {
  const listen = (at: number, pair: TlsPair | undefined) =>
    Bun.serve({
      hostname,
      port: at,
      idleTimeout: IDLE_SECONDS,
      // Bodies are streamed and bounded by the handlers.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: (request, server) => answer(request, server.requestIP(request)?.address ?? ""),
      // A server with another certificate takes the port over, see `reload`.
      ...(pair && { tls: pair, reusePort: true }),
    });
  let server = listen(port, tls);
  const former: Bun.Server<undefined>[] = [];
  const pending = () => [server, ...former].reduce((sum, one) => sum + one.pendingRequests, 0);
  return {
    port: server.port ?? 0,
    async stop(patience) {
      const stopped = server.stop();
      const deadline = Date.now() + patience;
      while (pending() > 0 && Date.now() < deadline) await Bun.sleep(STOP_STEP_MS);
      // Connections that are kept alive would hold it up.
      await Promise.all([server, ...former].map((one) => one.stop(true)));
      await stopped;
    },
    /** Bun cannot change a certificate in place: a second server begins at the same port, then the first takes no more. */
    reload(pair) {
      const next = listen(server.port ?? port, pair);
      former.push(server);
      void server.stop();
      server = next;
    },
  };
}
