import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isError, SlipwayError } from "@slipway/base";
import { formatReference } from "@slipway/oci";
import { TestRegistry } from "../server/testing/registry-fixture.ts";
import type { TransferProgress } from "./progress.ts";
import { type Fault, FaultProxy } from "./testing/fault-proxy.ts";
import { named, StoreFixture } from "./testing/store-fixture.ts";

const MiB = 1024 * 1024;
const BIG = 6 * MiB;
const TIMEOUT = 60_000;
const signal = new AbortController().signal;

const refused = (status: string, ...headers: string[]) =>
  `HTTP/1.1 ${[status, ...headers].join("\r\n")}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;

let registry: TestRegistry;
let proxy: FaultProxy;
let source: StoreFixture;

beforeAll(async () => {
  registry = await TestRegistry.start();
  proxy = new FaultProxy(Number(new URL(registry.url).port));
  source = await StoreFixture.open();
  const name = named(proxy.port, "app:v1");
  await source.makeImage(formatReference(name), [BIG, 20_000]);
  await source.client.push(name, { signal });
}, TIMEOUT);

afterAll(async () => {
  proxy[Symbol.dispose]();
  await source[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

/** Pulls through the proxy into a store of its own; resolves with the failure, if it failed, and leaves no damage. */
async function pullWith(...faults: Fault[]): Promise<{ error: unknown; down: number; requests: string[] }> {
  await using target = await StoreFixture.open();
  proxy.inject(...faults);
  const name = named(proxy.port, "app:v1");
  const error = await target.client.pull(name, { signal }).then(
    () => undefined,
    (failure: unknown) => failure,
  );
  const { down } = proxy;
  const requests = [...proxy.requests];
  proxy.inject();
  expect(await target.problems()).toEqual([]);
  if (error === undefined) {
    const image = target.store.images.resolve(formatReference(name));
    expect(image.id).toBe(source.store.images.resolve(formatReference(name)).id);
  } else {
    expect(error).toBeInstanceOf(SlipwayError);
    // Nothing stands in the way of the next attempt.
    await target.client.pull(name, { signal });
    expect(await target.problems()).toEqual([]);
  }
  return { error, down, requests };
}

const BLOB = /^GET .*\/blobs\//;

/** How often a transfer is cut at the same place. */
const CUTS = 3;

describe("a pull", () => {
  for (let tenth = 0; tenth < 10; tenth++) {
    test(
      `goes on where it was when it is cut at ${tenth * 10} %`,
      async () => {
        const { error, down } = await pullWith({
          on: BLOB,
          times: CUTS,
          cut: { way: "down", after: (BIG * tenth) / 10 + 500 },
        });
        expect(error).toBeUndefined();
        // Nothing but heads, documents and what was on its way is sent twice: less than 6 % for each cut.
        expect(down).toBeLessThan(BIG * (1 + 0.06 * CUTS) + 100_000);
      },
      TIMEOUT,
    );
  }

  for (const [what, answer] of [
    ["429 with Retry-After", refused("429 Too Many Requests", "Retry-After: 1")],
    ["500", refused("500 Internal Server Error")],
    ["503", refused("503 Service Unavailable")],
  ] as const) {
    test(
      `succeeds after a ${what}`,
      async () => {
        const { error } = await pullWith({ times: 2, answer });
        expect(error).toBeUndefined();
      },
      TIMEOUT,
    );
  }

  test(
    "says so when the registry stays out of order",
    async () => {
      const { error } = await pullWith({ on: /manifests/, answer: refused("503 Service Unavailable") });
      expect(isError(error, "unavailable")).toBeTrue();
      expect((error as Error).message).toContain("503");
    },
    TIMEOUT,
  );

  test("says so when it may not", async () => {
    const { error } = await pullWith({ on: /manifests/, answer: refused("401 Unauthorized") });
    expect((error as Error).message).toContain("may require 'docker login'");
  });

  test("waits no hour because a registry wants it", async () => {
    const { error } = await pullWith({
      on: /manifests/,
      answer: refused("429 Too Many Requests", "Retry-After: 3600"),
    });
    expect(isError(error, "unavailable")).toBeTrue();
  });

  test(
    "fetches anew what a byte was changed of",
    async () => {
      const { error } = await pullWith({ on: BLOB, times: 2, corruptAt: 3 * MiB });
      expect(error).toBeUndefined();
    },
    TIMEOUT,
  );

  test(
    "says so when it is changed each time",
    async () => {
      const { error } = await pullWith({ on: BLOB, corruptAt: 3 * MiB });
      expect(isError(error, "corrupt")).toBeTrue();
    },
    TIMEOUT,
  );

  test(
    "goes on after the connection stands still",
    async () => {
      const { error } = await pullWith({ on: BLOB, times: 2, stallAfter: 2 * MiB });
      expect(error).toBeUndefined();
    },
    TIMEOUT,
  );

  test("says so when a manifest is not what its digest says", async () => {
    const { error } = await pullWith({ on: /manifests/, corruptAt: 600 });
    expect(error).toBeInstanceOf(SlipwayError);
  });

  test("says so when a length is a lie", async () => {
    const head = (text: string) => text.replace(/content-length: \d+/i, "Content-Length: 17");
    const { error } = await pullWith({ on: BLOB, head });
    expect(isError(error, "corrupt") || isError(error, "unavailable")).toBeTrue();
  });

  test("says so when redirects lead in a circle", async () => {
    const answer = refused("307 Temporary Redirect", "Location: /v2/round/and/round");
    const { error } = await pullWith({ on: /blobs|round/, answer });
    expect((error as Error).message).toContain("redirects more than 10 times");
  });

  test(
    "that dies at 95 % fetches less than 6 % again, also after a restart",
    async () => {
      await using target = await StoreFixture.open({ maxAttempts: 1, rangesAfter: 60_000 });
      const name = named(proxy.port, "large:v1");
      const size = 40 * MiB;
      proxy.inject();
      await source.makeImage(formatReference(name), [size]);
      await source.client.push(name, { signal });
      // One long request, and pieces from 80 % to 95 %, go through.
      proxy.inject({ on: BLOB, times: 1 + 15 * 2 }, { on: BLOB, cut: { way: "down", after: 0 } });
      await expect(target.client.pull(name, { signal })).rejects.toThrow();
      await target.reopen();
      proxy.inject();
      await target.client.pull(name, { signal });
      expect(proxy.down).toBeLessThan(size * 0.06);
      expect(await target.problems()).toEqual([]);
    },
    TIMEOUT,
  );

  test(
    "of a large layer over a slow connection comes in ranges over several, also when they break",
    async () => {
      const name = named(proxy.port, "ranges:v1");
      await source.makeImage(formatReference(name), [24 * MiB]);
      await source.client.push(name, { signal });
      await using target = await StoreFixture.open({ rangesAfter: 0 });
      // A stop of a moment makes the layer's first connection slow; the config's is the one before.
      proxy.inject(
        { on: BLOB, times: 2, pauseAfter: 2 * MiB },
        { on: BLOB, times: 3, cut: { way: "down", after: 90_000 } },
      );
      await target.client.pull(name, { signal });
      expect(proxy.requests.filter((line) => BLOB.test(line)).length).toBeGreaterThan(50);
      // The proxy took in what was left of the first answer.
      expect(proxy.down).toBeLessThan(24 * MiB * 2);
      expect(await target.problems()).toEqual([]);
    },
    TIMEOUT,
  );

  test("leaves nothing when its image is removed, and keeps what arrived when it broke off", async () => {
    await using target = await StoreFixture.open({ maxAttempts: 1, rangesAfter: 60_000 });
    const name = named(proxy.port, "app:v1");
    proxy.inject({ on: BLOB, cut: { way: "down", after: BIG / 2 } });
    await expect(target.client.pull(name, { signal })).rejects.toThrow();
    await target.store.collect();
    proxy.inject();
    const { image } = await target.client.pull(name, { signal });
    expect(proxy.down).toBeLessThan(BIG * 0.9);
    target.store.images.remove(image.id);
    await target.store.collect();
    expect(target.store.usage()).toEqual({ layerBytes: 0, blobBytes: 0 });
    expect(await target.problems()).toEqual([]);
  });

  test("that broke off leaves what a prune frees, and a plan tells of", async () => {
    await using target = await StoreFixture.open({ maxAttempts: 1, rangesAfter: 60_000 });
    const name = named(proxy.port, "app:v1");
    proxy.inject({ on: BLOB, cut: { way: "down", after: BIG / 2 } });
    await expect(target.client.pull(name, { signal })).rejects.toThrow();
    const without = { images: new Set<never>(), writables: new Set<string>(), roots: new Map(), unfinished: true };
    const { freedBytes } = await target.store.collect({ plan: true, without });
    expect(freedBytes).toBeGreaterThan(BIG * 0.4);
    expect((await target.store.collect()).freedBytes).toBe(0);
    expect((await target.store.collect({ unfinished: true })).freedBytes).toBe(freedBytes);
    expect((await target.store.collect({ unfinished: true })).freedBytes).toBe(0);
    expect(target.store.usage()).toEqual({ layerBytes: 0, blobBytes: 0 });
    expect(await target.problems()).toEqual([]);
    proxy.inject();
    await target.client.pull(name, { signal });
    expect(proxy.down).toBeGreaterThan(BIG);
  });

  test(
    "of two who want the same travels once",
    async () => {
      await using target = await StoreFixture.open();
      const name = named(proxy.port, "app:v1");
      proxy.inject();
      await Promise.all([target.client.pull(name, { signal }), target.client.pull(name, { signal })]);
      expect(proxy.down).toBeLessThan(BIG * 1.05 + 100_000);
      expect(await target.problems()).toEqual([]);
    },
    TIMEOUT,
  );

  test(
    "that is cancelled leaves nothing wrong and goes on later",
    async () => {
      await using target = await StoreFixture.open();
      const name = named(proxy.port, "app:v1");
      proxy.inject();
      const stop = new AbortController();
      let arrived = 0;
      const onProgress = ({ status, current = 0 }: TransferProgress) => {
        if (status !== "Downloading" || current < MiB) return;
        arrived = current;
        stop.abort();
      };
      await expect(target.client.pull(name, { signal: stop.signal, onProgress })).rejects.toThrow();
      expect(arrived).toBeGreaterThan(MiB - 1);
      expect(await target.problems()).toEqual([]);
      proxy.inject();
      await target.client.pull(name, { signal });
      expect(proxy.down).toBeLessThan(BIG - arrived + 100_000);
    },
    TIMEOUT,
  );
});

let pushes = 0;

/** Pushes through the proxy to a repository of its own, with a layer that the registry does not have. */
async function pushWith(...faults: Fault[]): Promise<{ error: unknown; up: number }> {
  const name = named(proxy.port, `push${pushes++}/app:v1`);
  await source.makeImage(formatReference(name), [BIG, "text ".repeat(50_000)]);
  proxy.inject(...faults);
  const error = await source.client.push(name, { signal }).then(
    () => undefined,
    (failure: unknown) => failure,
  );
  const { up } = proxy;
  proxy.inject();
  expect(await source.problems()).toEqual([]);
  if (error !== undefined) {
    expect(error).toBeInstanceOf(SlipwayError);
    await source.client.push(name, { signal });
  }
  await using target = await StoreFixture.open();
  await target.client.pull(name, { signal });
  expect(await target.problems()).toEqual([]);
  return { error, up };
}

describe("a push", () => {
  for (let tenth = 0; tenth < 10; tenth++) {
    test(
      `succeeds when it is cut at ${tenth * 10} %`,
      async () => {
        const { error } = await pushWith({
          on: /^PATCH/,
          times: 2,
          cut: { way: "up", after: (BIG * tenth) / 10 + 800 },
        });
        expect(error).toBeUndefined();
      },
      TIMEOUT,
    );
  }

  for (const status of ["429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable"]) {
    for (const method of ["POST", "PATCH", "PUT"]) {
      test(
        `succeeds when a ${method} is answered ${status}`,
        async () => {
          const { error } = await pushWith({ on: new RegExp(`^${method}`), times: 1, answer: refused(status) });
          expect(error).toBeUndefined();
        },
        TIMEOUT,
      );
    }
  }

  test("says so when it may not", async () => {
    const { error } = await pushWith({ on: /^POST/, answer: refused("403 Forbidden") });
    expect((error as Error).message).toContain("denied");
  });

  test(
    "succeeds although the answer to its last word got lost",
    async () => {
      const { error } = await pushWith({ on: /^PUT .*blobs/, times: 1, cut: { way: "down", after: 0 } });
      expect(error).toBeUndefined();
    },
    TIMEOUT,
  );

  test("sends only what is new, and mounts what the registry has elsewhere", async () => {
    const name = named(proxy.port, "again/app:v1");
    const image = source.store.images.resolve(formatReference(named(proxy.port, "app:v1")));
    source.store.images.tag(image.id, name);
    proxy.inject();
    const steps: string[] = [];
    await source.client.push(name, { signal, onProgress: ({ status }) => steps.push(status) });
    expect(steps.filter((step) => step === "Mounted from app")).toHaveLength(2);
    expect(proxy.up).toBeLessThan(20_000);
  });

  test("of one compression gives the same bytes the next time, and of another others", async () => {
    const name = named(proxy.port, "forms/app:v1");
    await source.makeImage(formatReference(name), ["words and ".repeat(300_000), 5 * MiB]);
    const form = (compression: "gzip" | "zstd", level: number) => ({ signal, form: { compression, level } });
    const first = await source.client.push(name, form("gzip", 6));
    expect((await source.client.push(name, form("gzip", 6))).digest).toBe(first.digest);
    const zstd = await source.client.push(name, form("zstd", 3));
    expect(zstd.digest).not.toBe(first.digest);
    await using target = await StoreFixture.open();
    await target.client.pull({ ...name, digest: first.digest }, { signal });
    await using other = await StoreFixture.open();
    const { image } = await other.client.pull({ ...name, digest: zstd.digest }, { signal });
    expect(image.manifest.layers.every(({ mediaType }) => mediaType.endsWith("+zstd"))).toBeTrue();
    expect([...(await target.problems()), ...(await other.problems())]).toEqual([]);
  });
});
