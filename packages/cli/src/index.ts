/** Docker's command line over the Engine API: parsing, requests, rendering. It has no way into the engine but the API. */
export type { Input, Io, Output, TerminalSize } from "./io.ts";
export { commandReference } from "./reference.ts";
export { runCli } from "./run-cli.ts";
