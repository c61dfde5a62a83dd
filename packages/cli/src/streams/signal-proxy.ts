import type { EngineClient } from "../client/engine-client.ts";
import { ApiError, ExitError } from "../errors.ts";
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

/** So many SIGINT and SIGTERM end us in any case: the first process of a container ignores those it has no handler for. */
const ENOUGH = 3;

export interface SignalProxy {
  /** Rejects with `ExitError` when somebody insists on our end. */
  readonly forced: Promise<never>;
  end(): void;
}

/** Sends the signals that we get on to the container. */
export function forwardSignals(client: EngineClient, id: string, io: Io): SignalProxy {
  const { promise: forced, reject } = Promise.withResolvers<never>();
  forced.catch(() => {});
  let asked = 0;
  const undo = FORWARDED.map((signal) =>
    io.onSignal(signal, () => {
      if ((signal === "SIGINT" || signal === "SIGTERM") && ++asked === ENOUGH) {
        reject(new ExitError(1, "\ngot 3 SIGTERM/SIGINTs, forcefully exiting"));
      }
      client.send("POST", `/containers/${id}/kill`, { query: { signal: signal.slice(3) } }).catch((error: unknown) => {
        if (!(error instanceof ApiError)) return;
        // It has ended a moment ago: nothing to tell.
        if (error.status === 409 || error.status === 404) return;
        io.stderr.write(`${error.message}\n`);
      });
    }),
  );
  return {
    forced,
    end: () => {
      for (const end of undo) end();
    },
  };
}
