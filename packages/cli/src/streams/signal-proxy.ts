import type { EngineClient } from "../client/engine-client.ts";
import { ApiError } from "../errors.ts";
import type { Io } from "../io.ts";

/** Signals that mean the container, not us. Others are the runtime's (SIGCHLD, SIGPIPE, SIGURG) or cannot be caught. */
const FORWARDED: readonly NodeJS.Signals[] = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGTERM",
  "SIGCONT",
  "SIGTSTP",
  "SIGTTIN",
  "SIGTTOU",
];

/** Sends the signals that we get on to the container; the returned function ends that. */
export function forwardSignals(client: EngineClient, id: string, io: Io): () => void {
  const undo = FORWARDED.map((signal) =>
    io.onSignal(signal, () => {
      client.send("POST", `/containers/${id}/kill`, { query: { signal: signal.slice(3) } }).catch((error: unknown) => {
        if (!(error instanceof ApiError)) return;
        // It has ended a moment ago: nothing to tell.
        if (error.status === 409 || error.status === 404) return;
        io.stderr.write(`${error.message}\n`);
      });
    }),
  );
  return () => {
    for (const end of undo) end();
  };
}
