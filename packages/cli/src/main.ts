/** The executable's entry. `daemon` and `supervisor` are loaded only when they are asked for. */
import { processIo } from "./process-io.ts";
import { runCli } from "./run-cli.ts";

async function main(): Promise<void> {
  const status = await runCli(process.argv.slice(2), processIo());
  process.exit(status);
}

void main();
