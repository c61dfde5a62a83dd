import { randomBytes } from "node:crypto";
import { mkdirSync, renameSync } from "node:fs";
import { SingleFlight, SlipwayError } from "@slipway/base";
import type { ChainId, Digest } from "@slipway/oci";
import type { Blobs } from "../blobs.ts";
import type { Layer, StorePaths } from "../faces.ts";
import { treeHome, treePath } from "../paths.ts";
import type { Trash } from "../trash.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { LayerRow, LayerTable, NewDiff } from "./layer-table.ts";
import { rootOf } from "./layer-table.ts";
import { MergedView } from "./root-view.ts";

export interface LayerTreesOptions {
  readonly paths: StorePaths;
  readonly userxattr: boolean;
  readonly table: LayerTable;
  readonly blobs: Blobs;
  readonly pool: WorkerPool;
  readonly trash: Trash;
}

/** The form of layers that overlayfs mounts: made from the tar when first needed, or taken over as it is. */
export class LayerTrees {
  readonly #paths: StorePaths;
  readonly #userxattr: boolean;
  readonly #table: LayerTable;
  readonly #blobs: Blobs;
  readonly #pool: WorkerPool;
  readonly #trash: Trash;
  readonly #extracting = new SingleFlight<void>();

  constructor(options: LayerTreesOptions) {
    this.#paths = options.paths;
    this.#userxattr = options.userxattr;
    this.#table = options.table;
    this.#blobs = options.blobs;
    this.#pool = options.pool;
    this.#trash = options.trash;
  }

  /** The rows of a stack, bottom first, after its missing trees have been made. */
  async complete(chainId: ChainId, signal?: AbortSignal): Promise<LayerRow[]> {
    const rows = this.#table.stack(chainId);
    if (rows.every((row) => row.directory !== null)) return rows;
    const missing = rows.filter((row) => row.directory === null);
    // Two at a time: one reads while the other writes. What is bound needs everything below it first.
    const free = missing.filter((row) => row.bound === 0);
    await Promise.all([
      this.#extractAll(
        free.filter((_, at) => at % 2 === 0),
        signal,
      ),
      this.#extractAll(
        free.filter((_, at) => at % 2 === 1),
        signal,
      ),
    ]);
    await this.#extractAll(
      missing.filter((row) => row.bound !== 0),
      signal,
    );
    return this.#table.stack(chainId);
  }

  /** The trees of rows that are complete, topmost first. */
  lowersOf(rows: readonly LayerRow[]): string[] {
    return rows.map((row) => treePath(this.#paths, row.directory ?? missingTree(row))).reverse();
  }

  async view(chainId: ChainId | undefined, signal?: AbortSignal): Promise<MergedView> {
    if (chainId === undefined) return new MergedView([], { userxattr: this.#userxattr });
    const rows = await this.complete(chainId, signal);
    const { mode, uid, gid, mtime } = rootOf(rows);
    return new MergedView(this.lowersOf(rows), { userxattr: this.#userxattr, root: { mode, uid, gid, mtime } });
  }

  /** A new directory for a tree: its name in `layers`, and the tree itself. */
  newHome(): { readonly directory: string; readonly diff: string } {
    const directory = randomBytes(6).toString("hex");
    mkdirSync(treeHome(this.#paths, directory), 0o700);
    return { directory, diff: treePath(this.#paths, directory) };
  }

  discardHome(directory: string): void {
    this.#trash.take(treeHome(this.#paths, directory));
  }

  /** A directory that lies anywhere in the data root becomes a layer's tree; it stays where it is if there is one already. */
  take(parent: ChainId | undefined, diff: NewDiff, source: string): Layer {
    if (this.#table.hasTree(diff.diffId)) return this.#table.add(parent, diff);
    const { directory, diff: target } = this.newHome();
    // A crash before the row leaves a directory that the next start removes.
    renameSync(source, target);
    return this.#table.add(parent, diff, { directory, canonical: true });
  }

  /** A finished tree in a home of its own becomes a layer's, or goes if there is one already. */
  adopt(parent: ChainId | undefined, diff: NewDiff, directory: string): Layer {
    if (!this.#table.hasTree(diff.diffId)) return this.#table.add(parent, diff, { directory, canonical: true });
    this.discardHome(directory);
    return this.#table.add(parent, diff);
  }

  async #extractAll(rows: readonly LayerRow[], signal: AbortSignal | undefined): Promise<void> {
    for (const row of rows) {
      const key: Digest = row.bound === 0 ? row.diffId : row.chainId;
      await this.#extracting.do(key, (shared) => this.#extract(row, key, shared), signal);
    }
  }

  async #extract(row: LayerRow, key: Digest, signal: AbortSignal): Promise<void> {
    if (this.#table.hasTree(key)) return;
    const { tar, compression, diffId } = row;
    if (tar === null || compression === null)
      throw new SlipwayError("corrupt", `layer ${row.chainId} has neither tree nor tar`);
    const below = row.bound === 0 || row.parent === null ? [] : this.lowersOf(this.#table.stack(row.parent));
    const home = this.newHome();
    try {
      mkdirSync(home.diff, 0o755);
      const path = this.#blobs.path(tar);
      const userxattr = this.#userxattr;
      await this.#pool.run({ op: "extract", path, compression, target: home.diff, userxattr, below, diffId }, signal);
      // The collector may have taken the layer meanwhile.
      this.#table.require(row.chainId);
      // Or a commit has just brought the same tree.
      if (this.#table.hasTree(key)) this.discardHome(home.directory);
      else this.#table.addTree(key, diffId, { directory: home.directory, canonical: false });
    } catch (error) {
      this.discardHome(home.directory);
      throw error;
    }
  }
}

function missingTree(row: LayerRow): never {
  throw new SlipwayError("internal", `layer ${row.chainId} has no tree`);
}
