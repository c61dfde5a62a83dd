import { SlipwayError } from "@slipway/base";
import type { FileContent } from "@slipway/store";
import type { FileTree, TreeEntry } from "./file-tree.ts";

/** One file under one name: a download. */
export class SingleFile implements FileTree {
  readonly identity: string;
  readonly isDownload = true;
  readonly #entry: TreeEntry;
  readonly #hostPath: string;
  readonly #digest: string;

  constructor(file: {
    readonly name: string;
    readonly hostPath: string;
    readonly size: number;
    readonly mtime: bigint;
    readonly digest: string;
  }) {
    const { name, hostPath, size, mtime, digest } = file;
    this.#entry = { path: name, kind: "file", mode: 0o600, uid: 0, gid: 0, size, mtime };
    this.#hostPath = hostPath;
    this.#digest = digest;
    this.identity = `sha256:${digest}`;
  }

  lstat(path: string): TreeEntry | undefined {
    if (path === "") return { ...this.#entry, path: "", kind: "dir", mode: 0o755, size: 0 };
    return path === this.#entry.path ? this.#entry : undefined;
  }

  at(path: string): TreeEntry | undefined {
    return this.lstat(path);
  }

  resolve(path: string): string {
    return path;
  }

  names(path: string): readonly string[] {
    return path === "" ? [this.#entry.path] : [];
  }

  content(): FileContent {
    return { from: "host", path: this.#hostPath, size: this.#entry.size };
  }

  digests(entries: readonly TreeEntry[]): Promise<readonly string[]> {
    return Promise.resolve(entries.map(() => this.#digest));
  }

  missing(path: string): SlipwayError {
    return new SlipwayError("not-found", `"/${path}": not found in the download`);
  }
}
