declare const SLIPWAY_VERSION: string | undefined;
declare const SLIPWAY_COMMIT: string | undefined;
declare const SLIPWAY_BUILT: string | undefined;

/** What this executable is; the compile script fills it in. */
export const ENGINE_VERSION = {
  version: typeof SLIPWAY_VERSION === "string" ? SLIPWAY_VERSION : "0.1.0",
  gitCommit: typeof SLIPWAY_COMMIT === "string" ? SLIPWAY_COMMIT : "unknown",
  buildTime: typeof SLIPWAY_BUILT === "string" ? SLIPWAY_BUILT : "",
} as const;
