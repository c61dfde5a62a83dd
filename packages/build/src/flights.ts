import type { BuildEvent } from "./faces.ts";

type Output = Extract<BuildEvent, { readonly type: "log" | "status" }>;
/** What running work says; each build gives it the ID that the vertex has there. */
export type Report = (
  event: Omit<Extract<Output, { type: "log" }>, "vertex"> | Omit<Extract<Output, { type: "status" }>, "vertex">,
) => void;

interface Flight<R> {
  readonly result: Promise<R>;
  readonly controller: AbortController;
  readonly listeners: Set<Report>;
  /** What it said so far, for those that join later; the oldest is dropped. */
  readonly said: Parameters<Report>[0][];
  waiters: number;
}

const MOST_REMEMBERED = 2000;

/**
 * Identical work of all builds runs once, and its output goes to each of them. It stops when the last build has left,
 * and that build does not go before the work has cleaned up: a cancelled build leaves no mount behind.
 */
export class Flights<R> {
  readonly #flights = new Map<string, Flight<R>>();

  async join(
    key: string,
    work: (signal: AbortSignal, report: Report) => Promise<R>,
    waiter: { readonly signal: AbortSignal; readonly report: Report },
  ): Promise<R> {
    waiter.signal.throwIfAborted();
    const flight = this.#flights.get(key) ?? this.#start(key, work);
    flight.waiters++;
    for (const event of flight.said) waiter.report(event);
    flight.listeners.add(waiter.report);
    try {
      return await untilAborted(flight.result, waiter.signal);
    } catch (error) {
      if (waiter.signal.aborted && flight.waiters === 1) {
        // Nobody may join work that is being given up.
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        flight.controller.abort(waiter.signal.reason);
        await flight.result.catch(() => {});
      }
      throw error;
    } finally {
      flight.waiters--;
      flight.listeners.delete(waiter.report);
    }
  }

  #start(key: string, work: (signal: AbortSignal, report: Report) => Promise<R>): Flight<R> {
    const controller = new AbortController();
    const [listeners, said] = [new Set<Report>(), [] as Parameters<Report>[0][]];
    const report: Report = (event) => {
      if (said.length >= MOST_REMEMBERED) said.splice(0, MOST_REMEMBERED / 2);
      said.push(event);
      for (const listener of listeners) listener(event);
    };
    const result = work(controller.signal, report).finally(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    result.catch(() => {});
    const flight: Flight<R> = { result, controller, listeners, said, waiters: 0 };
    this.#flights.set(key, flight);
    return flight;
  }
}

function untilAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    result.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}
