/** The executable's entry. `daemon` and `supervisor` are loaded only when they are asked for. */
import { processIo } from "./process-io.ts";
import { runCli } from "./run-cli.ts";

/** 128 and the signal's number, as Docker's client: a script that called us goes on, which it would not after our death by it. */
const INTERRUPTED = [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const;

async function main(): Promise<void> {
  for (const [signal, status] of INTERRUPTED) {
    process.on(signal, () => {
      // A command that listens too knows better what is meant.
      if (process.listenerCount(signal) === 1) process.exit(status);
    });
  }
  const status = await runCli(process.argv.slice(2), processIo());
  process.exit(status);
}

void main();
