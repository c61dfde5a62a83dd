import type { EngineClient } from "../client/engine-client.ts";
import type { Io } from "../io.ts";

/** Tells the engine the size of our terminal now and at each change; the returned function ends that. */
export function followTerminalSize(client: EngineClient, path: string, io: Io): () => void {
  if (!io.stdout.isTerminal()) return () => {};
  const send = () => {
    const { rows, columns } = io.stdout.size();
    if (rows === 0 && columns === 0) return;
    // The process may be over already; its end is reported elsewhere.
    client.send("POST", `${path}/resize`, { query: { h: rows, w: columns } }).catch(() => {});
  };
  send();
  return io.onSignal("SIGWINCH", send);
}
