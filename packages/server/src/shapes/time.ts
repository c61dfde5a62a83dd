/** Go's zero time, which Docker shows for "never". */
export const ZERO_TIME = "0001-01-01T00:00:00Z";

/** RFC 3339 of milliseconds since the epoch, without needless zeros, as Go writes it; absent is the zero time. */
export function timestamp(milliseconds: number | undefined): string {
  return milliseconds === undefined ? ZERO_TIME : new Date(milliseconds).toISOString().replace(/\.?0+Z$/, "Z");
}

/** RFC 3339 with nine digits, as logs and events have it. */
export function nanoTimestamp(nanoseconds: bigint): string {
  const seconds = new Date(Number(nanoseconds / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(nanoseconds % 1_000_000_000n).padStart(9, "0")}Z`;
}

/** Whole seconds since the epoch. */
export function unixSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}
