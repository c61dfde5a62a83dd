import { randomId, SlipwayError } from "@slipway/base";
import {
  familiarReference,
  type HistoryEntry,
  hostPlatform,
  type ImageConfig,
  type ImageId,
  parsePlatform,
  parseReference,
  type Reference,
  withDefaultTag,
} from "@slipway/oci";
import type { Image, Lease, RootChange, Store, TakeStamp } from "@slipway/store";
import { breathing } from "../breath.ts";
import type { EventLog } from "../events/event-log.ts";
import { type Filters, filterValues } from "../filters.ts";
import { prunableImages } from "../prune/prunable.ts";
import { applyChanges } from "./image-changes.ts";
import { selectImages, shownNames } from "./image-list.ts";
import { erase, type ImageUser, type RemovedItem, removeImage } from "./image-removal.ts";
import { sharedBytes } from "./shared-layers.ts";

export interface ImageHistoryItem extends HistoryEntry {
  readonly id: ImageId | "<missing>";
  readonly size: number;
  readonly tags: readonly string[];
}

export interface ImageDependencies {
  readonly store: Store;
  readonly events: EventLog;
  /** The containers made from an image. */
  readonly usersOf: (id: ImageId) => readonly ImageUser[];
  readonly now: () => number;
}

export interface ImportOptions {
  readonly reference?: string;
  readonly message: string;
  readonly changes: readonly string[];
  readonly platform?: string;
  readonly signal: AbortSignal;
}

type Progress = (progress: { readonly id: string; readonly current: number; readonly total: number }) => void;

/** Images as the API sees them, over the store. */
export class ImageService {
  readonly #deps: ImageDependencies;

  constructor(deps: ImageDependencies) {
    this.#deps = deps;
  }

  async list(options: {
    readonly all: boolean;
    readonly filters: Filters;
    readonly sharedSize?: boolean;
  }): Promise<{ readonly image: Image; readonly containers: number; readonly sharedBytes?: number }[]> {
    const { store, usersOf, now } = this.#deps;
    const selected = selectImages(store.images, options.filters, now());
    const shared = options.sharedSize === true ? sharedBytes(store, store.images.list()) : undefined;
    const references = filterValues(options.filters, "reference");
    return selected.map((image) => ({
      image: references === undefined ? image : shownNames(image, references),
      containers: usersOf(image.id).length,
      ...(shared !== undefined && { sharedBytes: shared(image) }),
    }));
  }

  /** IDs of the containers that are made from an image. */
  users(id: ImageId): readonly string[] {
    return this.#deps.usersOf(id).map((user) => user.id);
  }

  async inspect(nameOrId: string): Promise<Image> {
    return this.#deps.store.images.resolve(nameOrId);
  }

  /** Newest step first. Only the topmost has the image's ID: the steps below were never images here. */
  async history(nameOrId: string): Promise<ImageHistoryItem[]> {
    const { store } = this.#deps;
    const image = store.images.resolve(nameOrId);
    const sizes = image.layers.map((chainId) => store.layers.get(chainId)?.size ?? 0);
    const steps = historyOf(image);
    let layer = 0;
    const items = steps.map((step): ImageHistoryItem => {
      const size = step.empty_layer === true ? 0 : (sizes[layer++] ?? 0);
      return { ...step, id: "<missing>", size, tags: [] };
    });
    const top = items.at(-1);
    if (top !== undefined) items[items.length - 1] = { ...top, id: image.id, tags: image.names.map(familiarReference) };
    return items.reverse();
  }

  /** What differs between the files of two images. Throws `not-found` at once, `conflict` if one is removed meanwhile. */
  diff(before: string, after: string, options: { readonly signal: AbortSignal }): AsyncIterable<RootChange> {
    const { images } = this.#deps.store;
    return this.#compare(images.resolve(before), images.resolve(after), options.signal);
  }

  async *#compare(before: Image, after: Image, signal: AbortSignal): AsyncGenerator<RootChange> {
    const { images, layers } = this.#deps.store;
    yield* layers.compare(before.layers.at(-1), after.layers.at(-1), signal);
    // Trees that went while they were read look like files that were removed.
    for (const { id } of [before, after]) {
      if (images.get(id) === undefined)
        throw new SlipwayError("conflict", `image ${id} was removed while it was compared`);
    }
  }

  /** Throws `invalid` for names that cannot be. */
  async tag(nameOrId: string, repository: string, tag: string | undefined): Promise<void> {
    const { store, events } = this.#deps;
    const image = store.images.resolve(nameOrId);
    const name = withDefaultTag(parseReference(tag ? `${repository}:${tag}` : repository));
    if (name.digest !== undefined) {
      throw new SlipwayError("invalid", "refusing to create a tag with a digest reference");
    }
    store.images.tag(image.id, name);
    const attributes = { ...image.config.config.Labels, name: familiarReference(name) };
    events.publish({ type: "image", action: "tag", id: image.id, attributes });
  }

  remove(nameOrId: string, options: { readonly force: boolean; readonly noPrune: boolean }): Promise<RemovedItem[]> {
    return removeImage(this.#deps, nameOrId, options);
  }

  async load(
    archive: ReadableStream<Uint8Array>,
    options: { readonly signal: AbortSignal; readonly onProgress: Progress },
  ): Promise<{ readonly id: ImageId; readonly names: readonly string[] }[]> {
    const loaded = await this.#deps.store.images.load(archive, options);
    return loaded.map(({ image, names }) => {
      this.#deps.events.publish({ type: "image", action: "load", id: image.id, attributes: { name: image.id } });
      return { id: image.id, names: names.map(familiarReference) };
    });
  }

  async save(
    nameOrIds: readonly string[],
    options: { readonly signal: AbortSignal },
  ): Promise<ReadableStream<Uint8Array>> {
    const { store, events } = this.#deps;
    const wanted = nameOrIds.flatMap((nameOrId) => tagsOf(store, nameOrId));
    const stream = await store.images.save(wanted, options);
    for (const nameOrId of wanted) {
      const image = store.images.find(nameOrId);
      if (image === undefined) continue;
      events.publish({ type: "image", action: "save", id: image.id, attributes: { name: nameOrId } });
    }
    return stream;
  }

  /** A root file system tar, compressed or not, becomes an image of one layer. Throws `corrupt` or `invalid` for no tar. */
  async import(tar: ReadableStream<Uint8Array>, options: ImportOptions): Promise<ImageId> {
    const { store, events, now } = this.#deps;
    const names = options.reference ? [importName(options.reference)] : [];
    const config = applyChanges({}, options.changes);
    const platform = options.platform ? parsePlatform(options.platform) : hostPlatform();
    await using lease = store.leases.open("import");
    const blob = await ingest(store, tar, lease, options.signal);
    const layer = await store.layers.fromTar({ blob, lease, signal: options.signal });
    const created = new Date(now()).toISOString();
    const document: ImageConfig = {
      ...platform,
      created,
      config,
      diffIds: [layer.diffId],
      history: [{ created, comment: options.message || "Imported from -" }],
    };
    const image = await store.images.put({ config: document, names, lease });
    events.publish({ type: "image", action: "import", id: image.id, attributes: { name: image.id } });
    return image.id;
  }

  /**
   * Images without a name; with the filter `dangling=false` all that no container needs. Those that `keep` gives a stamp
   * can be brought back, and free nothing yet.
   */
  async prune(
    filters: Filters,
    keep: (image: Image) => TakeStamp | undefined = () => undefined,
  ): Promise<{ readonly removed: readonly RemovedItem[]; readonly freedBytes: number }> {
    const { store, events, usersOf } = this.#deps;
    const removed: RemovedItem[] = [];
    for await (const { id, names } of breathing(prunableImages(this.#deps, filters))) {
      const image = store.images.get(id);
      // A container or a name may have come since.
      if (image === undefined || usersOf(id).length > 0 || image.names.length !== names.length) continue;
      removed.push(...image.names.map((name) => ({ untagged: familiarReference(name) })));
      removed.push(...(await erase(this.#deps, image, { noPrune: true, keep: keep(image) })));
    }
    const collected = await store.collect({ unfinished: true });
    const layers = collected.removed.filter(({ kind }) => kind === "layer").map(({ id }) => ({ deleted: id }));
    const attributes = { reclaimed: String(collected.freedBytes) };
    events.publish({ type: "image", action: "prune", id: "", attributes });
    return { removed: [...removed, ...layers], freedBytes: collected.freedBytes };
  }
}

/** The steps of an image, one for each layer at least: what says nothing about its layers still has them. */
function historyOf(image: Image): readonly HistoryEntry[] {
  const { history, created } = image.config;
  const missing = image.layers.length - history.filter((step) => step.empty_layer !== true).length;
  const filler = { ...(created === undefined ? {} : { created }), created_by: "" };
  return missing > 0 ? [...Array.from({ length: missing }, () => filler), ...history] : history;
}

/** A repository without a tag stands for all of its tags, as in Docker; anything else for itself. */
function tagsOf(store: Store, nameOrId: string): string[] {
  let name: Reference;
  try {
    name = parseReference(nameOrId);
  } catch {
    return [nameOrId];
  }
  if (name.tag !== undefined || name.digest !== undefined) return [nameOrId];
  const { domain, path } = name;
  const tags = store.images
    .list()
    .flatMap((image) => image.names.filter((each) => each.domain === domain && each.path === path))
    .map(familiarReference);
  return tags.length === 0 ? [nameOrId] : tags;
}

function importName(text: string): Reference {
  const name = withDefaultTag(parseReference(text));
  if (name.digest !== undefined) throw new SlipwayError("invalid", "cannot import digest reference");
  return name;
}

async function ingest(store: Store, tar: ReadableStream<Uint8Array>, lease: Lease, signal: AbortSignal) {
  const writer = await store.blobs.ingest({ key: `import-${randomId()}`, lease });
  try {
    for await (const chunk of tar) {
      signal.throwIfAborted();
      await writer.write(chunk);
    }
    return (await writer.commit()).digest;
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
