import type { Database } from "bun:sqlite";
import { type ChainId, type Digest, formatReference, type ImageId } from "@slipway/oci";
import type { Absent, CollectionReport, Root, StorePaths } from "./faces.ts";
import type { ImageTable } from "./images/image-table.ts";
import type { Writables } from "./layers/writables.ts";
import type { Leases } from "./leases.ts";
import { blobPath, treeHome } from "./paths.ts";
import type { Trash } from "./trash.ts";

export interface CollectorOptions {
  readonly database: Database;
  readonly paths: StorePaths;
  readonly leases: Leases;
  readonly images: ImageTable;
  /** Digests of the layers that an image's manifest names, perhaps compressed. */
  readonly manifestLayers: (id: ImageId) => readonly Digest[];
  readonly writables: Writables;
  readonly trash: Trash;
  /** Files of content that did not arrive whole. */
  readonly unfinished: () => readonly { readonly path: string; readonly size: number }[];
  /** Called before files of blobs go. */
  readonly beforeSweep: () => void;
}

const NOTHING: Absent = { images: new Set(), writables: new Set(), roots: new Map() };

type Kind = "blob" | "layer" | "image";

/**
 * Mark and sweep. Both happen in one turn of the event loop, rows first and in one transaction, so nothing can be leased
 * in between; files are renamed away and deleted in the background.
 */
export class Collector {
  readonly #options: CollectorOptions;
  readonly #owners = new Map<string, () => Iterable<Root>>();

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  addRoots(owner: string, roots: () => Iterable<Root>): void {
    this.#owners.set(owner, roots);
  }

  collect({ unfinished = false }: { readonly unfinished?: boolean } = {}): CollectionReport {
    const { marked, removed, held } = this.#mark({ ...NOTHING, unfinished });
    const { database, trash } = this.#options;
    const kept = JSON.stringify(held);
    database.query("DELETE FROM arrivals WHERE diff_id NOT IN (SELECT value FROM json_each(?))").run(kept);
    this.#sweep(removed, held);
    const files = unfinished ? this.#options.unfinished() : [];
    for (const { path } of files) trash.take(path);
    return this.#report(marked, removed, files);
  }

  /** What would be collected if all of `absent` were gone. */
  plan(absent: Absent = NOTHING): CollectionReport {
    const { marked, removed } = this.#mark(absent);
    return this.#report(marked, removed, absent.unfinished === true ? this.#options.unfinished() : []);
  }

  #mark(absent: Absent): { marked: Marks; removed: Unmarked[]; held: readonly Digest[] } {
    const marked = new Marks();
    this.#markRoots(marked, absent);
    this.#markImages(marked, absent);
    this.#markLayers(marked);
    const held = this.#markArrivals(marked, absent.unfinished === true);
    return { marked, removed: this.#unmarked(marked), held };
  }

  #report(marked: Marks, removed: readonly Unmarked[], files: readonly { readonly size: number }[]): CollectionReport {
    const ofFiles = files.reduce((sum, { size }) => sum + size, 0);
    return {
      removed: removed.map(({ kind, id, bytes }) => ({ kind, id, bytes })),
      kept: marked.report(),
      freedBytes: removed.reduce((sum, { bytes }) => sum + bytes, ofFiles),
    };
  }

  #markRoots(marked: Marks, absent: Absent): void {
    for (const [owner, roots] of this.#owners) {
      for (const root of absent.roots.get(owner) ?? roots()) {
        const id = root.kind === "blob" ? root.digest : root.kind === "layer" ? root.chainId : root.id;
        marked.add(root.kind, id, `${owner}: ${root.reason}`);
      }
    }
    for (const lease of this.#options.leases.all()) {
      const reason = `lease '${lease.label}'`;
      for (const digest of lease.blobs) marked.add("blob", digest, reason);
      for (const chainId of lease.layers) marked.add("layer", chainId, reason);
      for (const id of lease.images) marked.add("image", id, reason);
    }
    for (const [chainId, reason] of this.#options.writables.parents(absent.writables))
      marked.add("layer", chainId, reason);
  }

  /** Every image that has a record stays until it is removed; it may have no name and still be used by its ID. */
  #markImages(marked: Marks, absent: Absent): void {
    for (const image of this.#options.images.all()) {
      if (absent.images.has(image.id)) continue;
      const names = this.#options.images.names(image.id).map(formatReference);
      marked.add("image", image.id, names.length > 0 ? `named ${names.join(", ")}` : "an image without a name");
      const reason = `image ${image.id}`;
      marked.add("blob", image.id, reason);
      marked.add("blob", image.manifest, reason);
      marked.add("blob", image.target.digest, reason);
      for (const digest of this.#options.manifestLayers(image.id)) marked.add("blob", digest, reason);
      if (image.top !== null) marked.add("layer", image.top, reason);
    }
  }

  #markLayers(marked: Marks): void {
    const query = this.#options.database.query<{ parent: ChainId | null; tar: Digest | null }, [string]>(
      "SELECT parent, tar FROM layers JOIN diffs USING (diff_id) WHERE chain_id = ?",
    );
    const todo = marked.all("layer");
    for (let id = todo.pop(); id !== undefined; id = todo.pop()) {
      const row = query.get(id);
      if (row === null) continue;
      if (row.tar !== null) marked.add("blob", row.tar, `layer ${id}`);
      if (row.parent !== null && marked.add("layer", row.parent, `below layer ${id}`)) todo.push(row.parent);
    }
  }

  /** Layers without a place in a stack: those that a lease holds, and those of pulls that broke off lately. */
  #markArrivals(marked: Marks, unfinished: boolean): readonly Digest[] {
    const { database, leases } = this.#options;
    const arrived = database
      .query<{ diffId: Digest }, [number]>("SELECT diff_id AS diffId FROM arrivals WHERE until >= ?")
      .all(unfinished ? Number.MAX_SAFE_INTEGER : Date.now());
    const held = new Set(arrived.map(({ diffId }) => diffId));
    for (const { diffs } of leases.all()) for (const diffId of diffs) held.add(diffId);
    const tarOf = database.query<{ tar: Digest | null }, [string]>("SELECT tar FROM diffs WHERE diff_id = ?");
    for (const diffId of held) {
      const tar = tarOf.get(diffId)?.tar;
      if (tar != null) marked.add("blob", tar, `layer ${diffId} of an unfinished pull`);
    }
    return [...held];
  }

  #unmarked(marked: Marks): Unmarked[] {
    const { database } = this.#options;
    const layers = database
      .query<{ id: ChainId; diffId: Digest }, []>("SELECT chain_id AS id, diff_id AS diffId FROM layers")
      .all();
    const live = new Set(layers.filter(({ id }) => marked.has("layer", id)).map(({ diffId }) => diffId));
    const sizes = database.query<{ size: number }, [string]>("SELECT size FROM diffs WHERE diff_id = ?");
    const counted = new Set<Digest>();
    const found: Unmarked[] = [];
    for (const { id, diffId } of layers) {
      if (marked.has("layer", id)) continue;
      // A diff that another layer still uses frees nothing.
      const frees = !live.has(diffId) && !counted.has(diffId);
      counted.add(diffId);
      found.push({ kind: "layer", id, bytes: frees ? (sizes.get(diffId)?.size ?? 0) : 0 });
    }
    for (const { digest, size } of database
      .query<{ digest: Digest; size: number }, []>("SELECT digest, size FROM blobs")
      .all()) {
      if (!marked.has("blob", digest)) found.push({ kind: "blob", id: digest, bytes: size });
    }
    return found;
  }

  #sweep(removed: readonly Unmarked[], held: readonly Digest[]): void {
    if (removed.length === 0) return;
    const { database, paths, trash } = this.#options;
    const blobs = removed.flatMap(({ kind, id }) => (kind === "blob" ? [id as Digest] : []));
    const layers = removed.flatMap(({ kind, id }) => (kind === "layer" ? [id as ChainId] : []));
    let directories: string[] = [];
    database.transaction(() => {
      database.run("PRAGMA defer_foreign_keys = ON");
      const bound = database.query<{ directory: string }, [string]>(
        "DELETE FROM trees WHERE key = ? AND key <> diff_id RETURNING directory",
      );
      for (const id of layers) {
        directories.push(...bound.all(id).map(({ directory }) => directory));
        database.query("DELETE FROM layers WHERE chain_id = ?").run(id);
      }
      const unused = "diff_id NOT IN (SELECT diff_id FROM layers) AND diff_id NOT IN (SELECT value FROM json_each(?1))";
      const kept = JSON.stringify(held);
      const trees = database
        .query<{ directory: string }, [string]>(`DELETE FROM trees WHERE ${unused} RETURNING directory`)
        .all(kept);
      directories = directories.concat(trees.map(({ directory }) => directory));
      database.query(`DELETE FROM diffs WHERE ${unused}`).run(kept);
      for (const digest of blobs) {
        database.query("UPDATE diffs SET tar = NULL, compression = NULL WHERE tar = ?").run(digest);
        database.query("DELETE FROM blobs WHERE digest = ?").run(digest);
      }
    })();
    // The layout must not name a blob that is gone.
    if (blobs.length > 0) this.#options.beforeSweep();
    for (const directory of directories) trash.take(treeHome(paths, directory));
    for (const digest of blobs) trash.take(blobPath(paths, digest));
  }
}

interface Unmarked {
  readonly kind: Kind;
  readonly id: Digest;
  readonly bytes: number;
}

/** What is in use, and why. */
class Marks {
  readonly #marks = {
    blob: new Map<string, string[]>(),
    layer: new Map<string, string[]>(),
    image: new Map<string, string[]>(),
  };

  /** True if it was not marked before. */
  add(kind: Kind, id: string, reason: string): boolean {
    const reasons = this.#marks[kind].get(id);
    if (reasons === undefined) {
      this.#marks[kind].set(id, [reason]);
      return true;
    }
    reasons.push(reason);
    return false;
  }

  has(kind: Kind, id: string): boolean {
    return this.#marks[kind].has(id);
  }

  all(kind: "layer"): ChainId[] {
    return [...this.#marks[kind].keys()] as ChainId[];
  }

  report(): CollectionReport["kept"] {
    const kinds: readonly Kind[] = ["image", "layer", "blob"];
    return kinds.flatMap((kind) => [...this.#marks[kind]].map(([id, reasons]) => ({ kind, id, reasons })));
  }
}
