import type { Database } from "bun:sqlite";
import { mkdirSync, readdirSync, renameSync, rmdirSync } from "node:fs";
import { errnoOf, type Logger, randomId, SlipwayError } from "@slipway/base";
import type { ChainId, Digest, ImageId } from "@slipway/oci";
import type {
  Absent,
  CollectionReport,
  Image,
  Restorable,
  RestorableStore,
  RestoredImage,
  Root,
  StorePaths,
  TakenVolume,
  TakeStamp,
  VolumeRows,
} from "../faces.ts";
import type { Trash } from "../trash.ts";
import type { ImageTable } from "./image-table.ts";
import { type Holding, holdingOf, imageRecord, isWhole, putBack, readImageRecord } from "./restorable-images.ts";

/** Whose roots the layers of pruned images are, as the collector tells them apart. */
export const TRASH_OWNER = "trash";

export interface RestorablesOptions {
  readonly database: Database;
  readonly paths: StorePaths;
  readonly trash: Trash;
  readonly images: ImageTable;
  readonly imageOf: (id: ImageId) => Image | undefined;
  /** Told after each change of what images there are. */
  readonly onChange: () => void;
  readonly plan: (absent: Absent) => CollectionReport;
  readonly log: Logger;
}

const COLUMNS = "id, batch, kind, name, record, bytes, taken_at AS takenAt, until";

/**
 * What was pruned and can be brought back. An image's row moves from one table to another in one transaction, and what it
 * held is a root meanwhile. A volume's directory `volumes/NAME` becomes `restorable/ID/NAME` before the transaction that
 * moves its row is committed, and comes back after such a one: a crash in between leaves a directory that no row of ours
 * names, and the name in its path tells the next start where it belongs.
 */
export class Restorables implements RestorableStore {
  readonly #options: RestorablesOptions;

  constructor(options: RestorablesOptions) {
    this.#options = options;
  }

  list(): Restorable[] {
    return this.#options.database.query<Restorable, []>(`SELECT ${COLUMNS} FROM restorables ORDER BY seq`).all();
  }

  takeImage(id: ImageId, stamp: TakeStamp): Restorable {
    const { database, images, imageOf, onChange } = this.#options;
    const image = imageOf(id);
    const row = images.get(id);
    if (image === undefined || row === undefined) throw new SlipwayError("not-found", `no such image: ${id}`);
    const item = newItem("image", id, JSON.stringify(imageRecord(image, row)), stamp);
    database.transaction(() => {
      this.#insert(item);
      images.remove(id);
    })();
    onChange();
    return item;
  }

  restoreImage(id: string): RestoredImage {
    const { database, images, onChange } = this.#options;
    const item = this.#require(id, "image");
    const record = readImageRecord(item.record);
    const restored = database.transaction(() => {
      const names = putBack(database, images, record);
      this.#delete(id);
      return names;
    })();
    onChange();
    return { id: record.row.id, ...restored };
  }

  takeVolume(volume: TakenVolume, stamp: TakeStamp): Restorable {
    const { paths } = this.#options;
    const item = newItem("volume", volume.name, volume.record, { ...stamp, bytes: volume.bytes });
    const home = `${paths.restorable}/${item.id}`;
    mkdirSync(home, { mode: 0o700 });
    try {
      this.#move(`${paths.volumes}/${volume.name}`, `${home}/${volume.name}`, () => {
        this.#insert(item);
        volume.forget();
      });
    } catch (error) {
      rmdirSync(home);
      throw error;
    }
    return item;
  }

  restoreVolume(id: string, name: string, rows: VolumeRows): void {
    const { database, paths } = this.#options;
    const item = this.#require(id, "volume");
    const home = `${paths.restorable}/${id}`;
    const kept = readdirSync(home)[0];
    if (kept === undefined) throw new SlipwayError("corrupt", `the files of the volume ${item.name} were lost`);
    // Under the new name first, then the rows: a directory without a row of ours goes where its name says after a crash.
    if (kept !== name) renameSync(`${home}/${kept}`, `${home}/${name}`);
    database.transaction(() => {
      this.#delete(id);
      rows.remember(item.record);
    })();
    try {
      renameSync(`${home}/${name}`, `${paths.volumes}/${name}`);
    } catch (error) {
      database.transaction(() => {
        rows.forget();
        this.#insert(item);
      })();
      throw error;
    }
    rmdirSync(home);
  }

  drop(ids: readonly string[]): void {
    const { paths, trash } = this.#options;
    for (const id of ids) {
      // The files first: a row without files is forgotten by the next start, files without a row come back.
      trash.take(`${paths.restorable}/${id}`);
      this.#delete(id);
    }
  }

  weigh(images: readonly (Image | Restorable)[], absent: Absent): number[] {
    const holdings = images.map((each) => ("kind" in each ? readImageRecord(each.record) : holdingOf(each)));
    const { removed } = this.#options.plan({ ...absent, roots: new Map([...absent.roots, [TRASH_OWNER, []]]) });
    // The lowest layer has the ID of its tar.
    const free = new Map(removed.map(({ kind, id, bytes }) => [`${kind} ${id}`, bytes]));
    return holdings.map((holding) => {
      let bytes = 0;
      for (const key of this.#contents(holding)) {
        bytes += free.get(key) ?? 0;
        free.delete(key);
      }
      return bytes;
    });
  }

  *roots(): Generator<Root> {
    for (const item of this.list()) {
      if (item.kind !== "image") continue;
      const record = readImageRecord(item.record);
      const reason = `pruned image ${record.names[0] ?? item.name}, kept until ${new Date(item.until).toISOString()}`;
      for (const digest of record.blobs) yield { kind: "blob", digest, reason };
      if (record.top !== null) yield { kind: "layer", chainId: record.top, reason };
    }
  }

  recover(hasVolume: (name: string) => boolean): void {
    this.#recoverDirectories();
    for (const item of this.list()) {
      const isThere = item.kind === "image" ? this.#isWhole(item) : this.#findDirectory(item, hasVolume);
      if (isThere) continue;
      this.#options.log.warn("something pruned cannot be brought back any more", { name: item.name });
      this.#delete(item.id);
    }
  }

  /** Directories whose transaction a crash undid go back; nobody's data is thrown away on a guess. */
  #recoverDirectories(): void {
    const { paths } = this.#options;
    const known = new Set(this.list().map(({ id }) => id));
    for (const id of readdirSync(paths.restorable)) {
      if (known.has(id)) continue;
      const home = `${paths.restorable}/${id}`;
      for (const name of readdirSync(home)) {
        const from = `${home}/${name}`;
        // Something else has the name since: never both in one.
        if (!renamed(from, `${paths.volumes}/${name}`))
          renameSync(from, `${paths.volumes}/${name.slice(0, 240)}-${id}`);
      }
      rmdirSync(home);
    }
  }

  #isWhole(item: Restorable): boolean {
    return isWhole(this.#options.database, readImageRecord(item.record));
  }

  /** A power cut may have kept the rows and lost the rename. */
  #findDirectory(item: Restorable, hasVolume: (name: string) => boolean): boolean {
    const { paths } = this.#options;
    const home = `${paths.restorable}/${item.id}`;
    mkdirSync(home, { recursive: true, mode: 0o700 });
    if (readdirSync(home).length > 0) return true;
    if (!hasVolume(item.name) && renamed(`${paths.volumes}/${item.name}`, `${home}/${item.name}`)) return true;
    rmdirSync(home);
    return false;
  }

  /** The rename and the rows together: what fails leaves both as they were. */
  #move(from: string, to: string, rows: () => void): void {
    let moved = false;
    try {
      this.#options.database.transaction(() => {
        rows();
        renameSync(from, to);
        moved = true;
      })();
    } catch (error) {
      if (moved) renameSync(to, from);
      throw error;
    }
  }

  #contents({ blobs, top }: Holding): string[] {
    const sql = "SELECT parent, tar FROM layers JOIN diffs USING (diff_id) WHERE chain_id = ?";
    const query = this.#options.database.query<{ parent: ChainId | null; tar: Digest | null }, [string]>(sql);
    const found = blobs.map((digest) => `blob ${digest}`);
    for (let id = top; id !== null; ) {
      const row = query.get(id);
      found.push(`layer ${id}`, ...(row?.tar ? [`blob ${row.tar}`] : []));
      id = row?.parent ?? null;
    }
    return found;
  }

  #insert(item: Restorable): void {
    this.#options.database
      .query(
        "INSERT INTO restorables (id, batch, kind, name, record, bytes, taken_at, until) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      )
      .run(item.id, item.batch, item.kind, item.name, item.record, item.bytes, item.takenAt, item.until);
  }

  #delete(id: string): void {
    this.#options.database.query("DELETE FROM restorables WHERE id = ?").run(id);
  }

  #require(id: string, kind: Restorable["kind"]): Restorable {
    const sql = `SELECT ${COLUMNS} FROM restorables WHERE id = ? AND kind = ?`;
    const item = this.#options.database.query<Restorable, [string, string]>(sql).get(id, kind);
    if (item === null) throw new SlipwayError("not-found", `nothing pruned has the ID ${id}`);
    return item;
  }
}

function newItem(
  kind: Restorable["kind"],
  name: string,
  record: string,
  { bytes = 0, ...stamp }: TakeStamp & { readonly bytes?: number },
): Restorable {
  return { id: randomId().slice(0, 12), kind, name, record, bytes, ...stamp };
}

/** False when the source is not there or the place is taken. */
function renamed(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (["ENOENT", "ENOTEMPTY", "EEXIST", "ENOTDIR"].includes(errnoOf(error) ?? "")) return false;
    throw error;
  }
}
