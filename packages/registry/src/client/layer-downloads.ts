import { isError, Semaphore, SingleFlight } from "@slipway/base";
import type { Descriptor, DiffId } from "@slipway/oci";
import type { Lease, Store } from "@slipway/store";
import { transferBlob } from "./blob-transfer.ts";
import { ByteReporter, layerId, type OnProgress, SharedProgress } from "./progress.ts";
import type { PullShare } from "./pull-share.ts";
import type { Repository } from "./repository.ts";
import { persistently } from "./retry.ts";
import type { RegistrySettings } from "./settings.ts";

export interface WantedLayer {
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
  readonly repository: Repository;
  /** Of the image that it is fetched for. */
  readonly share: PullShare;
  /** Holds the layer once it is here. */
  readonly lease: Lease;
}

/** How often content that is not what it should be is fetched anew: a proxy's cache may be at fault. */
const MOST_DAMAGED = 2;

/** Layers on their way into the store: some at once, each once, whoever wants it. */
export class LayerDownloads {
  readonly #store: Store;
  readonly #settings: RegistrySettings;
  readonly #slots: Semaphore;
  readonly #flights = new SingleFlight<void>();
  readonly #progress = new SharedProgress();
  readonly #running = new Map<string, Promise<void>>();

  constructor(store: Store, settings: RegistrySettings) {
    this.#store = store;
    this.#settings = settings;
    this.#slots = new Semaphore(settings.maxDownloads);
  }

  /** Resolves when the layer is in the store, in both forms. Identical calls share one transfer, which ends with the last. */
  async fetch(wanted: WantedLayer, onProgress: OnProgress, signal: AbortSignal): Promise<void> {
    const { descriptor, diffId } = wanted;
    const id = layerId(descriptor.digest);
    if (this.#store.arrivals.has(diffId, wanted.lease)) {
      onProgress({ id, status: "Already exists" });
      return;
    }
    onProgress({ id, status: "Pulling fs layer" });
    const key = `${descriptor.digest} ${diffId}`;
    const leave = this.#progress.listen(key, onProgress);
    try {
      const report: OnProgress = (progress) => this.#progress.report(key, progress);
      await this.#flights.do(key, (shared) => this.#keepTrack(key, this.#inTurn(wanted, report, shared)), signal);
      this.#store.arrivals.has(diffId, wanted.lease);
    } finally {
      leave();
      // Whoever is the last to leave waits until what arrived lies safely.
      if (signal.aborted && !this.#progress.has(key)) await this.#running.get(key)?.catch(() => {});
    }
  }

  async #keepTrack(key: string, work: Promise<void>): Promise<void> {
    this.#running.set(key, work);
    try {
      await work;
    } finally {
      if (this.#running.get(key) === work) this.#running.delete(key);
    }
  }

  async #inTurn(wanted: WantedLayer, report: OnProgress, signal: AbortSignal): Promise<void> {
    const id = layerId(wanted.descriptor.digest);
    report({ id, status: "Waiting" });
    await this.#slots.with(async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          await this.#receive(wanted, report, signal);
          break;
        } catch (error) {
          if (!isError(error, "corrupt") || attempt >= MOST_DAMAGED) throw error;
        }
      }
    }, signal);
    report({ id, status: "Pull complete" });
  }

  async #receive(wanted: WantedLayer, report: OnProgress, signal: AbortSignal): Promise<void> {
    const { digest, size } = wanted.descriptor;
    const { maxAttempts: most, longestWait } = this.#settings;
    const id = layerId(digest);
    await using lease = this.#store.leases.open(`pull of layer ${digest}`);
    const arriving = await this.#store.arrivals.receive({ digest, size, diffId: wanted.diffId, lease, signal });
    const { share } = wanted;
    const leave = share.enter(arriving.offset);
    try {
      const progress = () => arriving.offset;
      const onRetry = (wait: number) => report({ id, status: `Retrying in ${Math.ceil(wait / 1000)} seconds` });
      const reporter = new ByteReporter(report, { id, status: "Downloading", total: size });
      reporter.at(arriving.offset);
      const onBytes = () => reporter.at(arriving.offset);
      const { repository } = wanted;
      const what = { repository, digest, size, sink: arriving, share, pace: { slow: false, wholeOnly: false } };
      const transfer = () => transferBlob({ ...what, onBytes, signal });
      await persistently(transfer, { most, longestWait, signal, progress, onRetry });
      report({ id, status: "Verifying Checksum" });
      report({ id, status: "Download complete" });
      report({ id, status: "Extracting", current: size, total: size });
      await arriving.finish();
    } catch (error) {
      if (isError(error, "corrupt")) {
        share.lost(arriving.offset);
        await arriving.abort();
      } else {
        await arriving.suspend();
      }
      throw error;
    } finally {
      leave();
    }
  }
}
