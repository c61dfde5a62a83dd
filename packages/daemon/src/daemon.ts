import type { DaemonFlags } from "./config.ts";

/**
 * Runs the engine until a signal ends it; resolves with the exit code. Log lines go to stderr.
 * Throws before it has begun to serve: `invalid` (flags, file), `forbidden` (not root), `conflict` (data root or socket taken).
 */
export declare function runDaemon(flags: DaemonFlags): Promise<number>;
