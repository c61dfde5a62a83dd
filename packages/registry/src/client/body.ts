import { SlipwayError } from "@slipway/base";
import { type Incoming, named } from "./transport.ts";

/** Less than this many bytes in the time of a stall is a stall: a drip must not hold a transfer for ever. */
const DRIP = 16 * 1024;

export interface BodyLimits {
  readonly stallTimeout: number;
  readonly signal: AbortSignal;
}

/** The pieces of an answer's body. Throws `unavailable` when the connection breaks off or stalls. */
export async function* bodyOf(incoming: Incoming, limits: BodyLimits): AsyncGenerator<Uint8Array> {
  const { response, url } = incoming;
  if (response.body === null) return;
  const reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  let arrived = 0;
  let waiting = false;
  let stalled: ((error: SlipwayError) => void) | undefined;
  const watch = setInterval(() => {
    // Time in which nobody asked for bytes is not the sender's.
    if (arrived < DRIP && waiting) {
      const seconds = limits.stallTimeout / 1000;
      stalled?.(
        new SlipwayError("unavailable", `${named("GET", url)}: stalled: next to nothing arrived for ${seconds} s`),
      );
    }
    arrived = 0;
  }, limits.stallTimeout);
  try {
    for (;;) {
      waiting = true;
      const { done, value } = await new Promise<{ readonly done: boolean; readonly value?: Uint8Array }>(
        (resolve, reject) => {
          stalled = reject;
          reader.read().then(resolve as (value: unknown) => void, reject);
        },
      );
      waiting = false;
      if (done || value === undefined) return;
      arrived += value.length;
      yield value;
    }
  } catch (error) {
    limits.signal.throwIfAborted();
    if (error instanceof SlipwayError) throw error;
    throw new SlipwayError("unavailable", `${named("GET", url)}: the connection broke off`, { cause: error });
  } finally {
    clearInterval(watch);
    incoming.end();
  }
}

/** A document of at most `limit` bytes. Throws `exhausted` beyond. */
export async function readDocument(incoming: Incoming, limit: number, limits: BodyLimits): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyOf(incoming, limits)) {
    size += chunk.length;
    if (size > limit) {
      throw new SlipwayError("exhausted", `${named("GET", incoming.url)}: the answer is larger than ${limit} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The beginning of a body, for a message; failures of reading are part of the trouble that is reported. */
export async function readStart(incoming: Incoming, limit: number, limits: BodyLimits): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of bodyOf(incoming, { ...limits, stallTimeout: Math.min(limits.stallTimeout, 5000) })) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= limit) break;
    }
  } catch {
    limits.signal.throwIfAborted();
  }
  return new TextDecoder().decode(Buffer.concat(chunks).subarray(0, limit));
}
