declare const SLIPWAY_VERSION: string | undefined;
declare const SLIPWAY_COMMIT: string | undefined;
declare const SLIPWAY_BUILT: string | undefined;

/** What this executable is; `scripts/compile.ts` fills it in. */
export const CLIENT_VERSION: string = typeof SLIPWAY_VERSION === "string" ? SLIPWAY_VERSION : "0.1.0";
export const GIT_COMMIT: string = typeof SLIPWAY_COMMIT === "string" ? SLIPWAY_COMMIT : "unknown";
/** ISO 8601, or empty when it runs from source. */
export const BUILT: string = typeof SLIPWAY_BUILT === "string" ? SLIPWAY_BUILT : "";

export function versionLine(): string {
  return `Slipway version ${CLIENT_VERSION}, build ${GIT_COMMIT}`;
}
