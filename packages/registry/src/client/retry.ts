import { errorCode, SlipwayError } from "@slipway/base";
import { refusedWith } from "./failures.ts";

/** A failure that another attempt may not meet: the connection, the registry's own trouble, its limits. */
export function isPassing(error: unknown): boolean {
  const status = refusedWith(error)?.status;
  if (status !== undefined) return status === 408 || status === 429 || (status >= 500 && status !== 501);
  return error instanceof SlipwayError && error.code === "unavailable" && error.details.final !== true;
}

/** The milliseconds that the registry asked for, if it did. */
function askedWait(error: unknown): number | undefined {
  const wait = error instanceof SlipwayError ? error.details.retryAfter : undefined;
  return typeof wait === "number" ? wait : undefined;
}

/** `Retry-After` (RFC 9110, 10.2.3) in milliseconds from now. */
export function readRetryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

const FIRST_WAIT = 200;
const LONGEST_WAIT = 10_000;

export interface Attempts {
  readonly most: number;
  readonly longestWait: number;
  readonly signal: AbortSignal;
  /** Told before each wait. */
  readonly onRetry?: (milliseconds: number) => void;
  /** What the attempts have brought so far: one that brought something new is not counted. */
  readonly progress?: () => number;
}

/**
 * Tries until it works, until it fails for good, or until as many attempts in a row as are allowed brought nothing. Waits
 * longer each time, with some chance in it so that many clients do not come back at once, or as long as the registry says.
 */
export async function persistently<T>(work: (attempt: number) => Promise<T>, attempts: Attempts): Promise<T> {
  const { most, signal, longestWait } = attempts;
  let reached = attempts.progress?.() ?? 0;
  for (let attempt = 1, failed = 0; ; attempt++) {
    try {
      return await work(attempt);
    } catch (error) {
      signal.throwIfAborted();
      if (!isPassing(error)) throw error;
      const now = attempts.progress?.() ?? 0;
      failed = now - reached >= WORTH_MENTIONING ? 1 : failed + 1;
      reached = now;
      const asked = askedWait(error);
      if (failed >= most || (asked ?? 0) > longestWait) throw error;
      const backOff = Math.min(FIRST_WAIT * 2 ** (failed - 1), LONGEST_WAIT) * (0.75 + Math.random() / 2);
      const wait = asked ?? backOff;
      attempts.onRetry?.(wait);
      await sleep(wait, signal);
    }
  }
}

/** Bytes. Less is no progress: a registry must not keep a transfer alive with a byte for each connection. */
const WORTH_MENTIONING = 64 * 1024;

export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const timer = setTimeout(done, milliseconds);
    function done() {
      signal.removeEventListener("abort", abandon);
      resolve();
    }
    function abandon() {
      clearTimeout(timer);
      reject(signal.reason);
    }
    signal.addEventListener("abort", abandon, { once: true });
  });
}

/** Whether somebody who waits gave up, in contrast to all that can go wrong by itself. */
export function isCancelled(error: unknown): boolean {
  return errorCode(error) === "cancelled";
}
