import { familiarReference, type ImageId } from "@slipway/oci";
import type { Absent, Image, Root } from "@slipway/store";
import { breath } from "../breath.ts";
import type { ContainerContext } from "../containers/container-context.ts";
import type { ContainerEntry } from "../containers/container-index.ts";
import { statusText } from "../containers/status-text.ts";
import { directorySize } from "../files/directory-size.ts";
import type { Filters } from "../filters.ts";
import type { ImageDependencies } from "../images/image-service.ts";
import { sharedBytes } from "../images/shared-layers.ts";
import type { NetworkService } from "../networks/network-service.ts";
import type { LastUses } from "../trash/last-uses.ts";
import { type Candidate, fitting } from "../trash/trash-choice.ts";
import type { VolumeService } from "../volumes/volume-service.ts";
import { prunableContainers, prunableImages } from "./prunable.ts";

/** One prune call that somebody means to make. */
export type PruneStep =
  | { readonly kind: "container" | "network" | "volume" | "image"; readonly filters: Filters }
  | { readonly kind: "builder"; readonly all: boolean; readonly filters: Filters };

export interface PrunedItem {
  readonly kind: PruneStep["kind"];
  /** What the prune call would answer: an ID; of volumes and networks the name. */
  readonly id: string;
  readonly name: string;
  /** `Exited (0) 2 hours ago`, a driver, a build step. */
  readonly detail: string;
  /** Bytes that nothing else has. */
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly lastUsed?: number;
  /** It can be brought back for a time. Absent where nothing is kept, and of what never is. */
  readonly trash?: boolean;
}

export interface PrunePlan {
  readonly items: readonly PrunedItem[];
  /** What all of it frees at once: more than the sum where several share what nobody else has. */
  readonly freedBytes: number;
  /** What will be freed when the trash is emptied. */
  readonly trashBytes: number;
}

/** The build cache's part; the engine knows nothing of builds. */
export interface CachePlan {
  readonly items: readonly {
    readonly id: string;
    readonly description: string;
    readonly bytes: number;
    readonly lastUsed: number;
  }[];
  /** Bytes beside the layers: cache mounts. */
  readonly ownBytes: number;
  /** What the records that stay hold, and whose roots these are. */
  readonly owner: string;
  readonly roots: readonly Root[];
}

export interface PrunePlannerParts {
  readonly context: ContainerContext;
  readonly images: ImageDependencies;
  readonly volumes: VolumeService;
  readonly networks: NetworkService;
  /** What a prune of the cache would remove once the images in `gone` are gone. */
  readonly lastUses: LastUses;
  /** Bytes that the trash may hold now. */
  readonly trashRoom: () => number;
  readonly planCache: (options: {
    readonly all: boolean;
    readonly filters: Filters;
    readonly gone: ReadonlySet<ImageId>;
  }) => CachePlan;
}

/** What a plan takes as gone already, step by step. */
interface Gone {
  readonly containers: Map<string, ContainerEntry>;
  readonly images: Map<ImageId, Image>;
  /** What of it could be kept in the trash. */
  readonly candidates: Candidate[];
  cache: CachePlan | undefined;
}

/**
 * Tells what prune calls would remove, in the order in which they would be made: what a container needs goes with it when
 * the containers are pruned first. Nothing is changed.
 */
export class PrunePlanner {
  readonly #parts: PrunePlannerParts;

  constructor(parts: PrunePlannerParts) {
    this.#parts = parts;
  }

  /** With `trash` images and volumes are kept there as far as they fit. Throws what the calls would: `invalid` for unknown filters. */
  async plan(steps: readonly PruneStep[], options: { readonly trash?: boolean } = {}): Promise<PrunePlan> {
    const gone: Gone = { containers: new Map(), images: new Map(), candidates: [], cache: undefined };
    const items: PrunedItem[] = [];
    for (const step of steps) {
      items.push(...(await this.#step(step, gone)));
      await breath();
    }
    const own = items.reduce(
      (sum, { kind, bytes }) => sum + (kind === "container" || kind === "volume" ? bytes : 0),
      0,
    );
    const collects = steps.some(({ kind }) => kind === "image" || kind === "builder");
    const freed = own + (collects ? await this.#collected(gone) : 0) + (gone.cache?.ownBytes ?? 0);
    const room = options.trash === true ? this.#parts.trashRoom() : 0;
    if (room === 0) return { items, freedBytes: freed, trashBytes: 0 };
    await breath();
    const kept = this.#kept(gone, room);
    const ids = new Set(kept.map(({ what, id }) => `${what.kind} ${id}`));
    const keptVolumes = kept.reduce((sum, { what }) => sum + (what.kind === "volume" ? what.bytes : 0), 0);
    const keptImages = kept.flatMap(({ what }) => (what.kind === "image" ? [what.image.id] : []));
    for (const id of keptImages) gone.images.delete(id);
    await breath();
    const now = own - keptVolumes + (collects ? await this.#collected(gone) : 0) + (gone.cache?.ownBytes ?? 0);
    return {
      items: items.map((item) => (isKeepable(item) ? { ...item, trash: ids.has(`${item.kind} ${item.id}`) } : item)),
      freedBytes: now,
      trashBytes: freed - now,
    };
  }

  #kept(gone: Gone, room: number): Candidate[] {
    const { restorables } = this.#parts.context.store;
    const absent = this.#absent(gone);
    return fitting(gone.candidates, room, (images) => restorables.weigh(images, absent));
  }

  async #step(step: PruneStep, gone: Gone): Promise<PrunedItem[]> {
    switch (step.kind) {
      case "container":
        return this.#containers(step.filters, gone);
      case "network":
        return this.#parts.networks.prunable(step.filters).map(({ name, driver, created }) => ({
          ...{ kind: "network", id: name, name, detail: driver, bytes: 0 },
          lastUsed: created,
        }));
      case "volume":
        return this.#volumes(step.filters, gone);
      case "image":
        return this.#images(step.filters, gone);
      case "builder": {
        gone.cache = this.#parts.planCache({ ...step, gone: new Set(gone.images.keys()) });
        return gone.cache.items.map(({ id, description, bytes, lastUsed }) => ({
          ...{ kind: "builder" as const, id, name: id, detail: description, bytes, lastUsed },
        }));
      }
    }
  }

  #containers(filters: Filters, gone: Gone): Promise<PrunedItem[]> {
    const { context } = this.#parts;
    const chosen = prunableContainers(context, filters);
    for (const entry of chosen) gone.containers.set(entry.id, entry);
    return Promise.all(
      chosen.map(async (entry): Promise<PrunedItem> => {
        const upper = context.store.layers.writable(entry.definition.writableId)?.upper;
        return {
          ...{ kind: "container", id: entry.id, name: entry.name },
          detail: statusText(entry.state, context.now()),
          bytes: upper === undefined ? 0 : await directorySize(upper),
          lastUsed: entry.state.finishedAt ?? entry.state.startedAt ?? entry.definition.created,
        };
      }),
    );
  }

  async #volumes(filters: Filters, gone: Gone): Promise<PrunedItem[]> {
    const chosen = this.#parts.volumes.prunable(filters, gone.containers);
    return Promise.all(
      chosen.map(async (volume): Promise<PrunedItem> => {
        const { name, created } = volume;
        const bytes = await this.#parts.volumes.bytesOf(volume);
        const lastUsed = Math.max(created, this.#parts.lastUses.of("volume", name) ?? 0);
        gone.candidates.push({ id: name, lastUsed, what: { kind: "volume", bytes } });
        return { kind: "volume", id: name, name, detail: volume.driver, bytes, lastUsed };
      }),
    );
  }

  #images(filters: Filters, gone: Gone): PrunedItem[] {
    const { images, lastUses } = this.#parts;
    const lastUsed = (image: Image) => Math.max(image.storedAt, lastUses.of("image", image.id) ?? 0);
    const chosen = prunableImages(images, filters, new Set(gone.containers.keys()));
    for (const image of chosen) {
      gone.images.set(image.id, image);
      gone.candidates.push({ id: image.id, lastUsed: lastUsed(image), what: { kind: "image", image } });
    }
    const shared = sharedBytes(images.store, images.store.images.list());
    return chosen.map((image) => ({
      ...{ kind: "image", id: image.id, detail: "" },
      name: image.names.map(familiarReference).join(", ") || "<none>",
      bytes: Math.max(image.size - shared(image), 0),
      lastUsed: lastUsed(image),
    }));
  }

  /** Bytes of layers and blobs that nothing would hold any more. */
  async #collected(gone: Gone): Promise<number> {
    const report = await this.#parts.context.store.collect({ plan: true, without: this.#absent(gone) });
    return report.freedBytes;
  }

  #absent({ cache, containers, images }: Gone): Absent {
    const roots = cache === undefined ? [] : [[cache.owner, cache.roots] as const];
    return {
      images: new Set(images.keys()),
      writables: new Set([...containers.values()].map(({ definition }) => definition.writableId)),
      roots: new Map(roots),
      unfinished: true,
    };
  }
}

function isKeepable({ kind }: PrunedItem): boolean {
  return kind === "image" || kind === "volume";
}
