import { errorMessage, type Logger, SlipwayError } from "@slipway/base";
import type { Gauge } from "../observe/metrics.ts";
import type { Storage } from "../storage/contents.ts";
import { type Collected, collect } from "./collect.ts";
import type { CollectReply, CollectRequest } from "./registry-collect-worker.ts";
import type { RetentionRule } from "./retention.ts";

export interface TimerOptions {
  readonly rules: readonly RetentionRule[];
  readonly grace: number;
  readonly log: Logger;
}

/** Timers that are set further ahead fire at once. */
const FURTHEST_MS = 2 ** 31 - 1;

/** Collects now and then while the registry serves. */
export class CollectionTimer {
  readonly #storage: Storage;
  readonly #options: TimerOptions;
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();
  #total: Collected = { tags: 0, manifests: 0, blobs: 0, bytes: 0, strays: 0, uploads: 0 };

  constructor(storage: Storage, options: TimerOptions) {
    this.#storage = storage;
    this.#options = options;
  }

  start(every: number): void {
    // Replicas over one bucket should not all begin at once.
    this.#timer = setTimeout(
      () => {
        this.#running = this.#run().finally(() => this.start(every));
      },
      Math.min(every * (0.9 + Math.random() / 5), FURTHEST_MS),
    );
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#running;
    clearTimeout(this.#timer);
  }

  get gauges(): readonly Gauge[] {
    const read = (name: keyof Collected, help: string): Gauge => ({
      name: `collected_${name}_total`,
      help,
      type: "counter",
      read: () => this.#total[name],
    });
    return [
      read("manifests", "Manifests that collections removed."),
      read("blobs", "Blobs whose bytes collections removed."),
      read("bytes", "Bytes of those blobs."),
    ];
  }

  async #run(): Promise<void> {
    const { log, ...options } = this.#options;
    try {
      const { place } = this.#storage;
      const done =
        place === undefined
          ? await collect(this.#storage, options)
          : await collectBeside({ place, rules: options.rules, grace: options.grace });
      this.#total = sum(this.#total, done);
      log.info("collection is done", { ...done });
    } catch (error) {
      log.error("collection failed", { error: errorMessage(error) });
    }
  }
}

async function collectBeside(request: CollectRequest): Promise<Collected> {
  const worker = new Worker(new URL("./registry-collect-worker.ts", import.meta.url).href);
  try {
    const reply = await new Promise<CollectReply>((resolve, reject) => {
      worker.onmessage = (event: MessageEvent<CollectReply>) => resolve(event.data);
      worker.onerror = (event) => reject(new SlipwayError("internal", event.message));
      worker.postMessage(request);
    });
    if ("error" in reply) throw new SlipwayError("internal", reply.error);
    return reply.done;
  } finally {
    worker.terminate();
  }
}

function sum(a: Collected, b: Collected): Collected {
  return {
    tags: a.tags + b.tags,
    manifests: a.manifests + b.manifests,
    blobs: a.blobs + b.blobs,
    bytes: a.bytes + b.bytes,
    strays: a.strays + b.strays,
    uploads: a.uploads + b.uploads,
  };
}
