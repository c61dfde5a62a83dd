import { closeSync, fchmodSync, fchownSync } from "node:fs";
import {
  chmodAt,
  chownAt,
  closeFd,
  linkAt,
  mkdirInRoot,
  O,
  openAt,
  openInRoot,
  openPath,
  symlinkAt,
  unlinkAt,
  utimesAt,
  writeBehind,
} from "@slipway/sys";
import type { TarHeader } from "@slipway/tar";

interface DirectoryTimes {
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly mtime: bigint;
}

/** Writes tar entries below one folder. Nothing it does can reach outside: parents are opened by the kernel inside the root. */
export class TreeWriter {
  readonly #root: number;
  /** Modes and times of directories come last: writing into them needs the one and changes the other. */
  readonly #directories: DirectoryTimes[] = [];

  readonly #keepOwners: boolean;

  /** With `keepOwners` files get the numeric owners of the tar; without, they are the user's. */
  constructor(root: string, options: { readonly keepOwners?: boolean } = {}) {
    this.#keepOwners = options.keepOwners === true;
    this.#root = openPath(root, O.DIRECTORY);
  }

  async add(header: TarHeader, content: AsyncIterable<Uint8Array>): Promise<void> {
    const parts = header.name.split("/").filter((part) => part !== "" && part !== ".");
    if (parts.includes("..")) throw new Error(`the path '${header.name}' leads out of the folder`);
    const name = parts.at(-1);
    if (name === undefined) return;
    if (header.type === "dir") {
      closeFd(mkdirInRoot(this.#root, parts.join("/")));
      const { uid, gid, mode, mtime } = header;
      this.#directories.push({ path: parts.join("/"), uid, gid, mode, mtime });
      return;
    }
    const parent = mkdirInRoot(this.#root, parts.slice(0, -1).join("/"));
    try {
      await this.#write(parent, name, { header, content });
    } finally {
      closeFd(parent);
    }
  }

  finish(): void {
    for (const { path, uid, gid, mode, mtime } of this.#directories.toReversed()) {
      // The directory itself, as the kernel finds it inside the root: by its name a link would lead anywhere.
      const fd = openInRoot(this.#root, path, O.PATH | O.DIRECTORY);
      try {
        if (this.#keepOwners) chownAt(fd, ".", uid, gid);
        chmodAt(fd, ".", mode & 0o7777);
        utimesAt(fd, ".", mtime, mtime);
      } finally {
        closeFd(fd);
      }
    }
  }

  close(): void {
    closeFd(this.#root);
  }

  async #write(
    parent: number,
    name: string,
    { header, content }: { header: TarHeader; content: AsyncIterable<Uint8Array> },
  ) {
    switch (header.type) {
      case "file": {
        remove(parent, name);
        const fd = openAt(parent, name, O.WRONLY | O.CREAT | O.EXCL, 0o600);
        try {
          await writeBehind(fd, content);
          // Owner first: chown(2) takes setuid bits away.
          if (this.#keepOwners) fchownSync(fd, header.uid, header.gid);
          fchmodSync(fd, header.mode & 0o7777);
        } finally {
          closeSync(fd);
        }
        break;
      }
      case "symlink":
        remove(parent, name);
        symlinkAt(header.linkname, parent, name);
        if (this.#keepOwners) chownAt(parent, name, header.uid, header.gid);
        break;
      case "link":
        this.#link(parent, name, header.linkname);
        return;
      default:
        // Devices and pipes of an image have no place in a user's folder.
        return;
    }
    utimesAt(parent, name, header.mtime, header.mtime);
  }

  #link(parent: number, name: string, target: string): void {
    const parts = target.split("/").filter((part) => part !== "" && part !== ".");
    if (parts.includes("..")) throw new Error(`the link '${name}' leads out of the folder`);
    const from = mkdirInRoot(this.#root, parts.slice(0, -1).join("/"));
    try {
      remove(parent, name);
      linkAt(from, parts.at(-1) ?? "", parent, name);
    } finally {
      closeFd(from);
    }
  }
}

/** An earlier build's file gives way; a directory in its place is an error of the user's. */
function remove(parent: number, name: string): void {
  try {
    unlinkAt(parent, name);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ENOENT") throw error;
  }
}
