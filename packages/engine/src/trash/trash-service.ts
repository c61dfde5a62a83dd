import { errorMessage, KeyedLock, type Logger, randomId, SlipwayError } from "@slipway/base";
import { familiarReference, type ImageId, parseReference } from "@slipway/oci";
import type { Restorable, Store, TakeStamp } from "@slipway/store";
import { breathing } from "../breath.ts";
import type { EventLog } from "../events/event-log.ts";
import type { VolumeService } from "../volumes/volume-service.ts";
import { isDiskLow, keepTime, type TrashPolicy, trashRoom } from "./trash-policy.ts";

/** Times in milliseconds since the epoch. */
export interface TrashItem {
  readonly id: string;
  /** The prune that put it here. */
  readonly prune: string;
  readonly kind: "image" | "volume";
  /** An image's ID, or a volume's name. */
  readonly target: string;
  /** Names that an image had; of a volume its own. */
  readonly names: readonly string[];
  /** Bytes that are freed when it goes, after all that is older. */
  readonly bytes: number;
  readonly prunedAt: number;
  readonly until: number;
}

export interface TrashContents {
  /** Newest first. */
  readonly items: readonly TrashItem[];
  readonly bytes: number;
  /** 0 when nothing is kept. */
  readonly maxBytes: number;
}

export interface RestoredItem {
  readonly kind: "image" | "volume";
  readonly id: string;
  /** The names it has again. */
  readonly names: readonly string[];
  /** Names that something else has by now. */
  readonly taken: readonly string[];
}

export interface UndoReport {
  readonly prune: string;
  readonly restored: readonly RestoredItem[];
  /** What stays in the trash, and why. */
  readonly failed: readonly { readonly item: TrashItem; readonly error: unknown }[];
}

export interface TrashParts {
  readonly store: Store;
  readonly volumes: VolumeService;
  readonly events: EventLog;
  readonly log: Logger;
  readonly policy: TrashPolicy;
  readonly now: () => number;
}

const LOOK_MS = 2000;
/** Timers cannot be set further ahead. */
const FURTHEST_MS = 2 ** 31 - 1;

/** What prunes took away and can bring back, for a time and up to a size. */
export class TrashService {
  readonly #parts: TrashParts;
  readonly #lock = new KeyedLock();
  #expiry: Timer | undefined;
  #watch: Timer | undefined;

  constructor(parts: TrashParts) {
    this.#parts = parts;
  }

  /** After the engine's start: forgets what was lost or is over, and goes on with the rest. */
  async start(): Promise<void> {
    const { store, volumes } = this.#parts;
    store.restorables.recover((name) => volumes.find(name) !== undefined);
    await this.tidy();
  }

  stop(): void {
    clearTimeout(this.#expiry);
    clearInterval(this.#watch);
  }

  /** Bytes that it may hold now. */
  room(): number {
    return trashRoom(this.#parts.store.root, this.#parts.policy);
  }

  /** For what one prune takes. */
  stamp(): TakeStamp {
    const takenAt = this.#parts.now();
    return { batch: randomId().slice(0, 12), takenAt, until: takenAt + keepTime(this.#parts.policy) };
  }

  contents(): TrashContents {
    const items = this.#weighed();
    return { items, bytes: total(items), maxBytes: this.room() };
  }

  /** Drops what is over, and the oldest as long as there is more than there may be. */
  tidy(): Promise<{ readonly freedBytes: number }> {
    return this.#lock.with("trash", async () => {
      const { store, now } = this.#parts;
      const room = this.room();
      let kept = 0;
      const dropped = this.#weighed().filter(({ bytes, until }) => {
        kept += bytes;
        return until <= now() || kept > room;
      });
      const freedBytes = await this.#drop(dropped);
      this.#schedule(store.restorables.list());
      return { freedBytes };
    });
  }

  /**
   * Brings back a prune, or one thing of it, by the beginning of its ID; without one the last prune. `as` names a volume
   * anew. What cannot be brought back stays in the trash. Throws `not-found`, and `invalid` for an `as` without one volume.
   */
  undo(idOrPrune: string | undefined, options: { readonly as?: string } = {}): Promise<UndoReport> {
    return this.#lock.with("trash", async () => {
      const items = this.#chosen(idOrPrune);
      if (options.as !== undefined && (items.length !== 1 || items[0]?.kind !== "volume")) {
        throw new SlipwayError("invalid", "a new name can be given to one volume only", {
          hint: "Name the volume's own ID: slipway system trash ls",
        });
      }
      const restored: RestoredItem[] = [];
      const failed: UndoReport["failed"][number][] = [];
      for await (const item of breathing(items)) {
        try {
          restored.push(item.kind === "image" ? this.#restoreImage(item) : await this.#restoreVolume(item, options.as));
        } catch (error) {
          failed.push({ item, error });
        }
      }
      this.#schedule(this.#parts.store.restorables.list());
      return { prune: items[0]?.prune ?? "", restored, failed };
    });
  }

  /** For good: everything, or a prune or thing by the beginning of its ID. Throws `not-found`. */
  empty(idOrPrune?: string): Promise<{ readonly removed: readonly TrashItem[]; readonly freedBytes: number }> {
    return this.#lock.with("trash", async () => {
      const removed = idOrPrune === undefined ? this.#weighed() : this.#chosen(idOrPrune);
      const freedBytes = await this.#drop(removed);
      this.#schedule(this.#parts.store.restorables.list());
      return { removed, freedBytes };
    });
  }

  #restoreImage(item: TrashItem): RestoredItem {
    const { store, events } = this.#parts;
    const { id, names, taken } = store.restorables.restoreImage(item.id);
    const labels = store.images.get(id)?.config.config.Labels;
    events.publish({ type: "image", action: "load", id, attributes: { name: id } });
    const familiar = names.map(familiarReference);
    for (const name of familiar) events.publish({ type: "image", action: "tag", id, attributes: { ...labels, name } });
    return { kind: "image", id, names: familiar, taken: taken.map(familiarReference) };
  }

  async #restoreVolume(item: TrashItem, as: string | undefined): Promise<RestoredItem> {
    const { name } = await this.#parts.volumes.bringBack(item, as ?? item.target);
    return { kind: "volume", id: name, names: [name], taken: [] };
  }

  async #drop(items: readonly TrashItem[]): Promise<number> {
    const { store } = this.#parts;
    if (items.length === 0) return 0;
    store.restorables.drop(items.map(({ id }) => id));
    const { freedBytes } = await store.collect();
    return items.reduce((sum, { kind, bytes }) => sum + (kind === "volume" ? bytes : 0), freedBytes);
  }

  /** Newest first: what newer things hold too goes with them. */
  #weighed(): TrashItem[] {
    const { restorables } = this.#parts.store;
    const items = restorables.list().reverse();
    const images = items.filter(({ kind }) => kind === "image");
    const weights = images.length === 0 ? [] : restorables.weigh(images, NOTHING_ABSENT);
    const bytesOf = new Map(images.map(({ id }, index) => [id, weights[index] ?? 0]));
    return items.map((item) => shown(item, bytesOf.get(item.id) ?? item.bytes));
  }

  #chosen(idOrPrune: string | undefined): TrashItem[] {
    const items = this.#weighed();
    const wanted = idOrPrune ?? items[0]?.prune;
    if (wanted === undefined) {
      throw new SlipwayError("not-found", "nothing that was pruned can be brought back", {
        hint: "The trash is empty: what goes there stays for a day, see 'slipway system trash ls --help'.",
      });
    }
    const prunes = new Set(items.map(({ prune }) => prune).filter((prune) => prune.startsWith(wanted)));
    const own = items.filter(
      ({ id, kind, target }) => id.startsWith(wanted) || (kind === "volume" && target === wanted),
    );
    if (wanted === "" || prunes.size + own.length === 0) {
      throw new SlipwayError("not-found", `nothing in the trash has the ID ${wanted}`, {
        hint: "See what there is: slipway system trash ls",
      });
    }
    if (prunes.size + own.length > 1) {
      throw new SlipwayError("conflict", `'${wanted}' is the beginning of more than one ID in the trash`, {
        hint: "Write more digits of it: slipway system trash ls",
      });
    }
    return own.length > 0 ? own : items.filter(({ prune }) => prunes.has(prune));
  }

  /** Nothing wakes the engine while the trash is empty. */
  #schedule(items: readonly Restorable[]): void {
    this.stop();
    if (items.length === 0) return;
    const next = Math.min(...items.map(({ until }) => until)) - this.#parts.now();
    this.#expiry = setTimeout(() => this.#inBackground(() => this.tidy()), Math.min(Math.max(next, 0), FURTHEST_MS));
    this.#expiry.unref();
    this.#watch = setInterval(() => this.#inBackground(() => this.#makeRoom()), LOOK_MS);
    this.#watch.unref();
  }

  async #makeRoom(): Promise<void> {
    const { store, log } = this.#parts;
    if (!isDiskLow(store.root)) return;
    log.warn("space is short where the engine keeps its data: the trash is emptied");
    await this.empty();
  }

  #inBackground(work: () => Promise<unknown>): void {
    work().catch((error: unknown) => {
      this.#parts.log.warn("the trash could not be tidied", { error: errorMessage(error) });
    });
  }
}

const NOTHING_ABSENT = { images: new Set<ImageId>(), writables: new Set<string>(), roots: new Map() };

function shown(item: Restorable, bytes: number): TrashItem {
  const { id, batch, kind, name, takenAt, until } = item;
  const names = kind === "volume" ? [name] : namesOf(item).map((each) => familiarReference(parseReference(each)));
  return { id, prune: batch, kind, target: name, names, bytes, prunedAt: takenAt, until };
}

function namesOf({ record }: Restorable): string[] {
  return (JSON.parse(record) as Pick<Record<"names", string[]>, "names">).names;
}

function total(items: readonly { readonly bytes: number }[]): number {
  return items.reduce((sum, { bytes }) => sum + bytes, 0);
}
