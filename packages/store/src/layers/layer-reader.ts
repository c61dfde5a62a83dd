import { SlipwayError } from "@slipway/base";
import type { TarHeader } from "@slipway/tar";
import { type DirEntry, defaultDirectory, parentOf } from "./layer-entries.ts";
import { fail, LayerModel } from "./layer-model.ts";
import type { NodeMetadata, OpenFile, TreeMaker } from "./tree-maker.ts";
import { AUFS_PREFIX, OPAQUE_MARKER, WHITEOUT_PREFIX } from "./whiteout.ts";

export interface LayerLimits {
  readonly entries: number;
  readonly devices: number;
  readonly xattrsPerEntry: number;
}

/** Far above every honest layer. A distribution's `/dev` has some 30 devices, a big monorepo 500,000 files. */
export const LAYER_LIMITS: LayerLimits = { entries: 2_000_000, devices: 4096, xattrsPerEntry: 256 };

/** What the layers below a layer have, for entries that point there. */
export interface BelowLayer {
  describe(path: string): DirEntry | undefined;
  /** The host's path of a file that is no directory, or undefined. */
  file(path: string): string | undefined;
}

export interface LayerFacts {
  /** Bytes of the files. */
  readonly size: number;
  readonly entries: number;
  /** The tree depends on the layers below: a directory is implied, or a hard link points there. */
  readonly bound: boolean;
  readonly externalLinks: number;
  readonly root?: DirEntry;
}

export interface LayerReaderOptions {
  readonly maker?: TreeMaker | undefined;
  readonly below?: BelowLayer | undefined;
  /** The layers below are not there yet: links into them are left out, and a tree that is `bound` must be made again. */
  readonly belowUnknown?: boolean;
  readonly limits?: LayerLimits;
}

/**
 * Takes the entries of a layer's tar, in the order of the archive, checks them, and makes the tree from them. Without a
 * maker it only checks, by exactly the same code, so that what was accepted once will also extract.
 */
export class LayerReader {
  readonly #maker: TreeMaker | undefined;
  readonly #below: BelowLayer | undefined;
  readonly #belowUnknown: boolean;
  readonly #limits: LayerLimits;
  readonly #model: LayerModel;
  #open: OpenFile | undefined;
  #size = 0;
  #entries = 0;
  #devices = 0;
  #externalLinks = 0;

  constructor(options: LayerReaderOptions = {}) {
    this.#maker = options.maker;
    this.#below = options.below;
    this.#belowUnknown = options.belowUnknown === true;
    this.#limits = options.limits ?? LAYER_LIMITS;
    this.#model = new LayerModel((path) => this.#maker?.dir(path));
  }

  entry(header: TarHeader): void {
    if (++this.#entries > this.#limits.entries) {
      throw new SlipwayError("exhausted", `the layer has more than ${this.#limits.entries} entries`);
    }
    if (header.xattrs.size > this.#limits.xattrsPerEntry) fail(header.name, "has too many extended attributes");
    const path = this.#model.place(header.name);
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (name.startsWith(WHITEOUT_PREFIX)) this.#whiteout(path, name, header);
    else if (header.type === "dir") this.#dir(path, header);
    else if (path === "") fail(header.name, "is the root and must be a directory");
    else this.#node(path, header);
  }

  data(bytes: Uint8Array): void {
    this.#open?.write(bytes);
  }

  hole(length: number): void {
    this.#open?.hole(length);
  }

  entryEnd(): void {
    this.#open?.close();
    this.#open = undefined;
  }

  /** Sets the metadata of all directories: last, as making entries in them changed it. */
  finish(): LayerFacts {
    for (const [path, node] of this.#model.nodes) {
      if (node.kind !== "dir") continue;
      if (path === "" && node.metadata === undefined) {
        if (node.opaque) this.#maker?.finishDir("", defaultDirectory(""), true);
        continue;
      }
      const metadata = node.metadata ?? this.#below?.describe(path) ?? defaultDirectory(path);
      this.#maker?.finishDir(path, metadata, node.opaque);
    }
    const root = this.#model.nodes.get("");
    return {
      size: this.#size,
      entries: this.#entries,
      bound: this.#model.implied || this.#externalLinks > 0,
      externalLinks: this.#externalLinks,
      ...(root?.kind === "dir" && root.metadata && { root: { kind: "dir", path: "", ...root.metadata } }),
    };
  }

  /** Closes what is open after a failure. */
  abandon(): void {
    try {
      this.#open?.close();
    } catch {
      // The failure that led here is the one to report.
    }
    this.#open = undefined;
  }

  #whiteout(path: string, name: string, header: TarHeader): void {
    const parent = parentOf(path);
    if (name === OPAQUE_MARKER) {
      const node = this.#model.nodes.get(parent);
      if (node?.kind === "dir") node.opaque = true;
      return;
    }
    if (name.startsWith(AUFS_PREFIX)) return;
    const hidden = name.slice(WHITEOUT_PREFIX.length);
    if (hidden === "" || hidden === "." || hidden === "..") fail(header.name, "is a whiteout of nothing");
    const target = parent === "" ? hidden : `${parent}/${hidden}`;
    const node = this.#model.nodes.get(target);
    // The whiteout is about the layers below; what this layer itself has at the path hides them anyway.
    if (node?.kind === "dir") node.opaque = true;
    if (node !== undefined) return;
    this.#maker?.whiteout(target);
    this.#model.nodes.set(target, { kind: "whiteout" });
  }

  #dir(path: string, header: TarHeader): void {
    const known = this.#model.nodes.get(path);
    const metadata = metadataOf(header);
    if (known?.kind === "dir") {
      known.metadata = metadata;
      return;
    }
    if (known !== undefined) this.#replace(path);
    this.#maker?.dir(path);
    this.#model.nodes.set(path, { kind: "dir", metadata, opaque: known?.kind === "whiteout" });
  }

  #node(path: string, header: TarHeader): void {
    const target = header.type === "link" ? this.#linkTarget(path, header) : undefined;
    if (this.#model.nodes.has(path)) this.#replace(path);
    if (target !== undefined) this.#link(path, target, header);
    else this.#make(path, header);
    const linked = target === undefined ? undefined : this.#model.nodes.get(target);
    const made = header.type === "symlink" ? ({ kind: "symlink", target: header.linkname } as const) : undefined;
    this.#model.nodes.set(path, linked ?? made ?? { kind: "other" });
  }

  /** A later entry of the same name wins, as with every tar (`tar -r` appends changed files). */
  #replace(path: string): void {
    this.#maker?.remove(path);
    this.#model.forget(path);
  }

  #make(path: string, header: TarHeader): void {
    const metadata = metadataOf(header);
    switch (header.type) {
      case "file":
        this.#size += header.size;
        this.#open = this.#maker?.file(path, metadata);
        return;
      case "symlink":
        if (header.linkname === "" || header.linkname.includes("\0"))
          fail(header.name, "is a symbolic link to nothing");
        this.#maker?.symlink(path, header.linkname, metadata);
        return;
      case "char":
      case "block":
        this.#checkDevice(header);
        this.#maker?.device(path, header.type, { ...metadata, major: header.devmajor, minor: header.devminor });
        return;
      case "fifo":
        this.#maker?.fifo(path, metadata);
    }
  }

  /**
   * Device nodes are part of layers (a distribution's /dev); they harm nobody on the host, as layers lie in a directory
   * that only root may enter, and containers open them only as far as their device rules allow.
   */
  #checkDevice(header: TarHeader): void {
    const { devmajor: major, devminor: minor, type } = header;
    // This is what overlayfs takes for a whiteout: it would hide a file of the layers below without saying so.
    if (type === "char" && major === 0 && minor === 0) fail(header.name, "is the device 0/0, which is not a device");
    if (!(major >= 0 && major < 4096 && minor >= 0 && minor < 1 << 20)) {
      fail(header.name, `has the device number ${major}/${minor}, which Linux does not have`);
    }
    if (++this.#devices > this.#limits.devices) {
      throw new SlipwayError("exhausted", `the layer has more than ${this.#limits.devices} devices ('${header.name}')`);
    }
  }

  #linkTarget(path: string, header: TarHeader): string {
    if (header.linkname.startsWith("/")) fail(header.name, `is a hard link to the absolute path '${header.linkname}'`);
    if (header.linkname.split("/").includes("..")) {
      fail(header.name, `is a hard link to '${header.linkname}', outside of the layer`);
    }
    const target = this.#model.find(header.linkname);
    if (target === path) fail(header.name, "is a hard link to itself");
    const kind = this.#model.nodes.get(target)?.kind;
    if (kind === "dir") fail(header.name, `is a hard link to the directory '${header.linkname}'`);
    if (kind === "whiteout" || target.startsWith(`${path}/`))
      fail(header.name, `is a hard link to '${target}', which is not there`);
    return target;
  }

  #link(path: string, target: string, header: TarHeader): void {
    const node = this.#model.nodes.get(target);
    if (node !== undefined) {
      this.#maker?.link(path, target);
      return;
    }
    this.#externalLinks++;
    if (this.#maker === undefined || this.#belowUnknown) return;
    const below = this.#below?.file(target);
    if (below === undefined || !this.#maker.linkFrom(below, path)) {
      fail(header.name, `is a hard link to '${header.linkname}', which is not there`);
    }
  }
}

function metadataOf(header: TarHeader): NodeMetadata {
  const { mode, uid, gid, mtime, xattrs } = header;
  return { mode: mode & 0o7777, uid, gid, mtime, ...(xattrs.size > 0 && { xattrs }) };
}
