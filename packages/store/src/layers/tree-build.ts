import { mkdirSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { lstatNs } from "@slipway/sys";
import type { LayerEntry } from "../faces.ts";
import { type TarOptions, type TarSummary, writeTar } from "./canonical-tar.ts";
import { TarSink } from "./tar-sink.ts";
import { type OpenFile, TreeMaker } from "./tree-maker.ts";
import { layerXattrs, sameXattrs } from "./tree-scan.ts";

type FileEntry = Extract<LayerEntry, { kind: "file" }>;

/**
 * Makes a tree from entries in canonical order and computes the digest of its tar on the way: each file's content is
 * read once, for both.
 */
export function buildTree(
  root: string,
  entries: readonly LayerEntry[],
  options: TarOptions & { readonly userxattr: boolean },
): TarSummary {
  mkdirSync(root, 0o755);
  const builder = new TreeBuilder(new TreeMaker(root, options));
  const summary = writeTar(builder.making(entries), new TarSink(), {
    ...options,
    tee: (entry) => builder.tee(entry),
  });
  builder.finish(entries);
  return summary;
}

class TreeBuilder {
  readonly #maker: TreeMaker;
  /** Inodes of other trees that this tree has already: a second name would turn two files into hard links. */
  readonly #shared = new Set<bigint>();
  #open: OpenFile | undefined;

  constructor(maker: TreeMaker) {
    this.#maker = maker;
  }

  /** Passes the entries on, making each as it goes by. */
  *making(entries: readonly LayerEntry[]): Generator<LayerEntry> {
    for (const entry of entries) {
      this.#make(entry);
      try {
        yield entry;
      } finally {
        // The tar has the content by now, and so has the file.
        this.#open?.close();
        this.#open = undefined;
      }
    }
  }

  tee(entry: LayerEntry): ((bytes: Uint8Array) => void) | undefined {
    if (entry.kind !== "file") return undefined;
    const open = this.#open;
    return open && ((bytes) => open.write(bytes));
  }

  finish(entries: readonly LayerEntry[]): void {
    for (const entry of entries) {
      if (entry.kind === "dir") this.#maker.finishDir(entry.path, entry, entry.opaque === true);
    }
  }

  #make(entry: LayerEntry): void {
    switch (entry.kind) {
      case "dir":
        if (entry.path !== "") this.#maker.dir(entry.path);
        return;
      case "file":
        if (!this.#share(entry)) this.#open = this.#maker.file(entry.path, entry);
        return;
      case "symlink":
        this.#maker.symlink(entry.path, entry.target, entry);
        return;
      case "link":
        this.#maker.link(entry.path, entry.target);
        return;
      case "char":
      case "block":
        this.#refuseWhiteout(entry);
        this.#maker.device(entry.path, entry.kind, entry);
        return;
      case "fifo":
        this.#maker.fifo(entry.path, entry);
        return;
      case "whiteout":
        this.#maker.whiteout(entry.path);
    }
  }

  /** Shares the file of another tree, if nothing but its path differs. */
  #share(entry: FileEntry): boolean {
    const { content } = entry;
    if (content.from !== "tree") return false;
    const stat = lstatNs(content.path);
    if (stat === undefined) throw new SlipwayError("not-found", `${content.path}: no such file`);
    const same =
      stat.kind === "file" &&
      stat.size === content.size &&
      stat.mode === entry.mode &&
      stat.uid === entry.uid &&
      stat.gid === entry.gid &&
      stat.mtime === entry.mtime &&
      sameXattrs(layerXattrs(content.path), entry.xattrs);
    if (!same || this.#shared.has(stat.ino) || !this.#maker.linkFrom(content.path, entry.path)) return false;
    this.#shared.add(stat.ino);
    return true;
  }

  #refuseWhiteout(entry: Extract<LayerEntry, { kind: "char" | "block" }>): void {
    if (entry.kind === "char" && entry.major === 0 && entry.minor === 0) {
      throw new SlipwayError("invalid", `layer entry '${entry.path}' is the device 0/0, which is not a device`);
    }
  }
}
