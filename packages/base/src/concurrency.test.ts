import { expect, test } from "bun:test";
import { errorCode } from "./errors.ts";
import { KeyedLock } from "./keyed-lock.ts";
import { Semaphore } from "./semaphore.ts";
import { SingleFlight } from "./single-flight.ts";

test("a keyed lock lets holders of one key in one after the other, in order", async () => {
  const lock = new KeyedLock();
  const order: number[] = [];
  await Promise.all(
    [1, 2, 3].map((n) =>
      lock.with("a", async () => {
        order.push(n);
        await Promise.resolve();
        order.push(n);
      }),
    ),
  );
  expect(order).toEqual([1, 1, 2, 2, 3, 3]);
});

test("different keys do not wait for each other", async () => {
  const lock = new KeyedLock();
  const unlock = await lock.acquire("a");
  (await lock.acquire("b"))();
  unlock();
});

test("a cancelled waiter leaves the queue and the next one gets the lock", async () => {
  const lock = new KeyedLock();
  const controller = new AbortController();
  const unlock = await lock.acquire("a");
  const abandoned = lock.acquire("a", controller.signal).catch(errorCode);
  const next = lock.acquire("a");
  controller.abort();
  expect(await abandoned).toBe("cancelled");
  unlock();
  (await next)();
  (await lock.acquire("a"))();
});

test("unlocking twice does not hand the lock out twice", async () => {
  const lock = new KeyedLock();
  const first = await lock.acquire("a");
  first();
  const second = await lock.acquire("a");
  first();
  let third = false;
  const waiting = lock.acquire("a").then((unlock) => {
    third = true;
    unlock();
  });
  await Promise.resolve();
  expect(third).toBe(false);
  second();
  await waiting;
});

test("a semaphore never has more holders than permits", async () => {
  const semaphore = new Semaphore(2);
  let holders = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 10 }, () =>
      semaphore.with(async () => {
        most = Math.max(most, ++holders);
        await new Promise((resolve) => setImmediate(resolve));
        holders--;
      }),
    ),
  );
  expect(most).toBe(2);
});

test("a cancelled waiter of a semaphore takes no permit with it", async () => {
  const semaphore = new Semaphore(1);
  const release = await semaphore.acquire();
  const controller = new AbortController();
  const waiting = semaphore.acquire(controller.signal);
  controller.abort(new Error("gone"));
  expect(waiting).rejects.toThrow("gone");
  release();
  (await semaphore.acquire())();
});

test("identical work runs once and everyone gets its result", async () => {
  const flights = new SingleFlight<number>();
  let runs = 0;
  const work = async () => {
    await Promise.resolve();
    return ++runs;
  };
  expect(await Promise.all([flights.do("k", work), flights.do("k", work), flights.do("other", work)])).toEqual([
    1, 1, 2,
  ]);
  expect(await flights.do("k", work)).toBe(3);
});

test("shared work goes on while one waiter stays and is cancelled when the last one leaves", async () => {
  const flights = new SingleFlight<string>();
  let cancelled = false;
  const work = (signal: AbortSignal) =>
    new Promise<string>((_, reject) => {
      signal.addEventListener("abort", () => {
        cancelled = true;
        reject(signal.reason);
      });
    });
  const [first, second] = [new AbortController(), new AbortController()];
  const results = [flights.do("k", work, first.signal), flights.do("k", work, second.signal)].map((flight) =>
    flight.catch((error: Error) => error.message),
  );
  first.abort(new Error("first left"));
  expect(await results[0]).toBe("first left");
  expect(cancelled).toBe(false);
  second.abort(new Error("second left"));
  expect(await results[1]).toBe("second left");
  expect(cancelled).toBe(true);
});

test("a caller that comes after everybody left gets a run of its own", async () => {
  const flights = new SingleFlight<number>();
  const controller = new AbortController();
  const stuck = flights.do("k", () => new Promise<number>(() => {}), controller.signal).catch(() => -1);
  controller.abort(new Error("left"));
  expect(await stuck).toBe(-1);
  expect(await flights.do("k", async () => 7)).toBe(7);
});
