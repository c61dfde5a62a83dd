interface Flight<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  waiters: number;
}

/**
 * Identical work runs once: callers with the same key share one run and its result.
 * The run has a signal of its own, which fires when its last waiter has left.
 */
export class SingleFlight<T> {
  #flights = new Map<string, Flight<T>>();

  do(key: string, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const flight = this.#flights.get(key) ?? this.#start(key, work);
    flight.waiters++;
    return signal === undefined ? flight.result : this.#join(key, flight, signal);
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController();
    const result = work(controller.signal).finally(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    // A flight that everybody left may still fail; its waiters have their own rejection already.
    result.catch(() => {});
    const flight: Flight<T> = { result, controller, waiters: 0 };
    this.#flights.set(key, flight);
    return flight;
  }

  #join(key: string, flight: Flight<T>, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        reject(signal.reason);
        if (--flight.waiters > 0) return;
        // A new caller must not join work that is being cancelled.
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        flight.controller.abort(signal.reason);
      };
      signal.addEventListener("abort", leave, { once: true });
      flight.result.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
    });
  }
}
