import { EventBus } from "@slipway/base";
import type { EngineEvent } from "../faces.ts";
import { type Filters, labelsMatch, matchesPattern } from "../filters.ts";
import type { EventJournal } from "./event-journal.ts";

/** Events that a reader who does not read may be behind before it is cut off. */
const BACKLOG = 10_000;

/** What happened, told to whoever listens: a bounded past, kept over restarts, and a live stream. */
export class EventLog {
  readonly #bus = new EventBus<EngineEvent>();
  readonly #now: () => number;
  readonly #journal: Pick<EventJournal, "append" | "read" | "lastTime">;
  #last: bigint;
  #readers = 0;

  constructor(journal: Pick<EventJournal, "append" | "read" | "lastTime">, now: () => number = Date.now) {
    this.#journal = journal;
    this.#now = now;
    this.#last = journal.lastTime();
  }

  /** Announces what is already committed. */
  publish(event: Omit<EngineEvent, "time">): void {
    const complete: EngineEvent = { ...event, time: this.#tick() };
    this.#journal.append(complete);
    this.#bus.publish(complete);
  }

  /** Calls `listener` with every event from now on; the returned function ends that. */
  subscribe(listener: (event: EngineEvent) => void): () => void {
    return this.#bus.subscribe(listener);
  }

  /** How many read live events now. */
  get listeners(): number {
    return this.#readers;
  }

  /**
   * Past events since `since`, then live ones until `until` or the signal. Nanoseconds. Without either bound there is no past,
   * with `until` alone all of it, as in Docker.
   */
  async *read(options: {
    readonly since?: bigint;
    readonly until?: bigint;
    readonly filters: Filters;
    readonly signal: AbortSignal;
  }): AsyncGenerator<EngineEvent> {
    const { since, until, filters, signal } = options;
    const queue: EngineEvent[] = [];
    let wake = (): void => {};
    let overrun = false;
    const wanted = (event: EngineEvent): boolean =>
      (until === undefined || event.time <= until) && eventMatches(filters, event);
    const unsubscribe = this.#bus.subscribe((event) => {
      if (!wanted(event)) return;
      // A reader that stopped reading must not hold the daemon's memory.
      if (queue.length >= BACKLOG) overrun = true;
      else queue.push(event);
      wake();
    });
    const stop = until === undefined ? signal : AbortSignal.any([signal, this.#deadline(until)]);
    const onStop = (): void => wake();
    this.#readers++;
    stop.addEventListener("abort", onStop);
    try {
      if (since !== undefined || until !== undefined) {
        // Read whole in one turn, before anything new can happen.
        const past = [...this.#journal.read()].filter((event) => event.time >= (since ?? 0n) && wanted(event));
        yield* past;
      }
      while (!overrun) {
        for (let event = queue.shift(); event !== undefined; event = queue.shift()) yield event;
        if (stop.aborted) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      stop.removeEventListener("abort", onStop);
      unsubscribe();
      this.#readers--;
    }
  }

  /** Strictly growing, so that `since` of the last event seen never loses one of the same millisecond. */
  #tick(): bigint {
    const now = BigInt(Math.round(this.#now() * 1000)) * 1000n;
    this.#last = now > this.#last ? now : this.#last + 1n;
    return this.#last;
  }

  #deadline(until: bigint): AbortSignal {
    const rest = Number(until / 1_000_000n) - this.#now();
    return rest <= 0 ? AbortSignal.abort() : AbortSignal.timeout(Math.min(rest, 2 ** 31 - 1));
  }
}

/** Docker's event filters: different names must all match, of one name's values one. */
export function eventMatches(filters: Filters, event: EngineEvent): boolean {
  const { type, action, id, attributes } = event;
  const named = (kind: string): boolean => {
    const values = filters[kind];
    if (values === undefined || values.length === 0) return true;
    return type === kind && matchesPattern(values, id, attributes.name ?? "");
  };
  const wantedActions = filters.event;
  return (
    (filters.type === undefined || filters.type.length === 0 || filters.type.includes(type)) &&
    (wantedActions === undefined ||
      wantedActions.length === 0 ||
      wantedActions.includes(action) ||
      wantedActions.includes(action.split(":")[0] ?? "")) &&
    (filters.container === undefined || named("container")) &&
    named("volume") &&
    named("network") &&
    named("daemon") &&
    imageMatches(filters.image, event) &&
    labelsMatch(filters, attributes)
  );
}

/** `image` matches images by ID or name, and containers by the image they were made from, with or without a tag. */
function imageMatches(values: readonly string[] | undefined, event: EngineEvent): boolean {
  if (values === undefined || values.length === 0) return true;
  const names = event.type === "image" ? [event.id, event.attributes.name ?? ""] : [event.attributes.image ?? ""];
  return matchesPattern(values, ...names, ...names.map((name) => name.replace(/:[\w.-]+$/, "")));
}
