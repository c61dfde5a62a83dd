import { createHash } from "node:crypto";
import { existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { errnoOf, randomId, SlipwayError } from "@slipway/base";
import type { IgnoreMatcher } from "@slipway/dockerfile";
import type { BuildContext } from "./faces.ts";
import { unpackContext } from "./sources/context-archive.ts";
import { ContextDirectory } from "./sources/context-directory.ts";
import type { FileTree } from "./sources/file-tree.ts";
import type { GitCheckouts } from "./sources/git.ts";
import type { HashPool } from "./sources/hash-pool.ts";

export interface OpenContext {
  /** A directory of this machine. */
  readonly root: string;
  /** By what a later build of the same project is known. */
  readonly identity: string;
  dispose(): void | Promise<void>;
}

/** Directories that are remembered between builds. */
const MOST_DIRECTORIES = 16;

/** Where builds get their files from, and what is remembered of those places. */
export class Contexts {
  readonly #root: string;
  readonly #hashes: HashPool;
  readonly #git: GitCheckouts;
  readonly #directories = new Map<string, ContextDirectory>();

  /** `root`: a directory for unpacked archives and what is known of directories. What an earlier process left is removed. */
  constructor(root: string, options: { readonly hashes: HashPool; readonly git: GitCheckouts }) {
    this.#root = root;
    this.#hashes = options.hashes;
    this.#git = options.git;
    rmSync(join(root, "archives"), { recursive: true, force: true });
    mkdirSync(join(root, "archives"), { recursive: true, mode: 0o700 });
    mkdirSync(join(root, "stats"), { recursive: true, mode: 0o700 });
    mkdirSync(join(root, "empty"), { recursive: true, mode: 0o755 });
  }

  /** Makes the context a directory of this machine. */
  async open(context: BuildContext, signal: AbortSignal): Promise<OpenContext> {
    switch (context.kind) {
      case "local":
        return { root: checkDirectory(context.path), identity: resolve(context.path), dispose() {} };
      case "empty":
        return { root: join(this.#root, "empty"), identity: "empty", dispose() {} };
      case "git": {
        const root = await this.#git.checkout({ url: context.url, keepGitDir: false }, signal);
        return { root, identity: context.url.replace(/[#?].*$/, ""), dispose() {} };
      }
      case "tar": {
        const root = join(this.#root, "archives", randomId().slice(0, 24));
        // A hostile archive's directories are so deep that their removal takes seconds.
        const dispose = async (): Promise<void> => {
          this.#directories.delete(root);
          await rm(root, { recursive: true, force: true });
        };
        mkdirSync(root, { mode: 0o700 });
        try {
          await unpackContext(context.stream, root, signal);
        } catch (error) {
          await dispose();
          throw error;
        }
        return { root, identity: "tar", dispose };
      }
    }
  }

  /** The files of a directory that are not ignored, as they are now. */
  scan(root: string, options: { readonly ignore: IgnoreMatcher; readonly paths: ReadonlySet<string> }): FileTree {
    return this.#directory(root).scan(options);
  }

  async save(): Promise<void> {
    for (const directory of this.#directories.values()) if (existsSync(directory.root)) await directory.save();
  }

  #directory(root: string): ContextDirectory {
    const known = this.#directories.get(root);
    if (known !== undefined) {
      this.#directories.delete(root);
      this.#directories.set(root, known);
      return known;
    }
    const name = createHash("sha256").update(root).digest("hex").slice(0, 32);
    const directory = new ContextDirectory(root, { hashes: this.#hashes, statFile: join(this.#root, "stats", name) });
    this.#directories.set(root, directory);
    for (const oldest of this.#directories.keys()) {
      if (this.#directories.size <= MOST_DIRECTORIES) break;
      this.#directories.delete(oldest);
    }
    return directory;
  }
}

export function checkDirectory(path: string): string {
  try {
    if (statSync(path).isDirectory()) return resolve(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT" && errnoOf(error) !== "ENOTDIR") throw error;
    throw new SlipwayError("not-found", `the build context ${path} does not exist`);
  }
  throw new SlipwayError("invalid", `the build context ${path} is not a directory`, {
    hint: "Give the directory, and the Dockerfile with -f.",
  });
}
