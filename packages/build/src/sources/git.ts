import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import { IgnoreMatcher } from "@slipway/dockerfile";
import { lstatNs, resolveInRoot } from "@slipway/sys";
import { ContextDirectory } from "./context-directory.ts";
import type { FileTree } from "./file-tree.ts";
import type { HashPool } from "./hash-pool.ts";

export interface GitSource {
  readonly url: string;
  readonly keepGitDir: boolean;
  /** The commit that the reference must be, or its beginning. */
  readonly checksum?: string;
}

export interface GitReference {
  readonly remote: string;
  readonly ref?: string;
  readonly subdirectory?: string;
}

/** `<remote>#<ref>:<subdirectory>`, or `<remote>?ref=<ref>&subdir=<subdirectory>`. */
export function parseGitReference(url: string): GitReference {
  const [hash, query] = [url.indexOf("#"), url.indexOf("?")];
  if (query >= 0 && (hash < 0 || query < hash)) return readQuery(url, { query, hash });
  if (hash < 0) return { remote: url };
  const [ref = "", subdirectory = ""] = url.slice(hash + 1).split(":", 2);
  return referenceOf(url.slice(0, hash), ref, subdirectory);
}

function readQuery(url: string, { query, hash }: { readonly query: number; readonly hash: number }): GitReference {
  if (hash >= 0) {
    throw new SlipwayError("invalid", `${url.slice(0, 200)}: a git URL has ?ref= or #ref, not both`);
  }
  let [ref, subdirectory] = ["", ""];
  for (const [name, value] of new URLSearchParams(url.slice(query + 1))) {
    if (name === "subdir") subdirectory = value.replace(/^\/+/, "");
    else if (name === "ref") ref = value;
    else if (name === "branch") ref = `refs/heads/${value}`;
    else if (name === "tag") ref = `refs/tags/${value}`;
    else {
      throw new SlipwayError("not-implemented", `the git URL's parameter ${name.slice(0, 50)} is not built yet`, {
        hint: "There are ref, branch, tag and subdir; a commit is written #COMMIT or ?ref=COMMIT, its check ADD --checksum.",
      });
    }
  }
  return referenceOf(url.slice(0, query), ref, subdirectory);
}

function referenceOf(remote: string, ref: string, subdirectory: string): GitReference {
  if (ref.startsWith("-") || subdirectory.split("/").includes("..")) {
    throw new SlipwayError("invalid", `invalid git reference '${`${ref}:${subdirectory}`.slice(0, 200)}'`);
  }
  return { remote, ...(ref && { ref }), ...(subdirectory && { subdirectory }) };
}

/** Checkouts of git repositories, one directory for each commit, made by the system's git. */
export class GitCheckouts {
  readonly #root: string;
  readonly #hashes: HashPool;

  constructor(root: string, hashes: HashPool) {
    this.#root = root;
    this.#hashes = hashes;
  }

  async tree(source: GitSource, signal: AbortSignal): Promise<FileTree> {
    const path = await this.checkout(source, signal);
    const directory = new ContextDirectory(path, {
      hashes: this.#hashes,
      statFile: join(this.#root, `${hashOf(path)}.stat`),
    });
    return directory.scan({ ignore: new IgnoreMatcher([]), paths: new Set([""]) });
  }

  /** The directory with the files of the reference. Throws `unavailable` with git's own words. */
  async checkout(source: GitSource, signal: AbortSignal): Promise<string> {
    const { remote, ref, subdirectory } = parseGitReference(source.url);
    const commit = await resolveCommit(remote, ref, signal);
    if (source.checksum !== undefined && !commit.startsWith(source.checksum)) {
      throw new SlipwayError("corrupt", `${source.url}: expected commit ${source.checksum}, got ${commit}`);
    }
    const path = join(this.#root, hashOf(`${remote} ${commit} ${source.keepGitDir}`));
    if (!existsSync(path)) await this.#clone({ remote, commit, ref, path, keepGitDir: source.keepGitDir }, signal);
    return subdirectory === undefined ? path : directoryIn(path, subdirectory, source.url);
  }

  /** Made under another name: a crash leaves no half checkout that looks complete. */
  async #clone(
    job: {
      readonly remote: string;
      readonly commit: string;
      readonly ref: string | undefined;
      readonly path: string;
      readonly keepGitDir: boolean;
    },
    signal: AbortSignal,
  ): Promise<void> {
    mkdirSync(this.#root, { recursive: true, mode: 0o700 });
    const directory = mkdtempSync(join(this.#root, "clone-"));
    try {
      await git(["init", "-q", directory], signal);
      await git(["-C", directory, "fetch", "-q", "--depth=1", job.remote, job.ref ?? "HEAD"], signal);
      await git(["-C", directory, "checkout", "-q", "--detach", "FETCH_HEAD"], signal);
      await git(["-C", directory, "submodule", "update", "-q", "--init", "--recursive", "--depth=1"], signal);
      if (!job.keepGitDir) rmSync(join(directory, ".git"), { recursive: true });
      renameSync(directory, job.path);
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }
}

/** A repository is somebody else's: its links are followed inside it, never to files of this machine. */
function directoryIn(checkout: string, subdirectory: string, url: string): string {
  try {
    const inside = resolveInRoot(checkout, subdirectory);
    if (lstatNs(inside)?.kind === "dir") return inside;
  } catch {
    // Nothing there, or a link that leads nowhere.
  }
  throw new SlipwayError("not-found", `${url}: no directory ${subdirectory}`);
}

async function resolveCommit(remote: string, ref: string | undefined, signal: AbortSignal): Promise<string> {
  if (ref !== undefined && /^[0-9a-f]{40}$/.test(ref)) return ref;
  const text = await git(["ls-remote", "--", remote, ref ?? "HEAD"], signal);
  const lines = text.split("\n").map((line) => line.split("\t"));
  const commit = (lines.find(([, name]) => name === `refs/tags/${ref}^{}`) ?? lines[0])?.[0];
  if (commit === undefined || commit === "") {
    throw new SlipwayError("not-found", `${remote} has no branch or tag ${ref ?? "HEAD"}`);
  }
  return commit;
}

async function git(args: readonly string[], signal: AbortSignal): Promise<string> {
  if (Bun.which("git") === null) {
    throw new SlipwayError("unavailable", "git is not installed", { hint: "Install it: apt-get install git" });
  }
  const env = {
    PATH: process.env.PATH ?? "/usr/bin:/bin",
    HOME: process.env.HOME ?? "/",
    GIT_TERMINAL_PROMPT: "0",
  };
  const child = Bun.spawn(["git", "-c", "protocol.ext.allow=never", ...args], {
    stdout: "pipe",
    stderr: "pipe",
    env,
    signal,
  });
  const [out, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  signal.throwIfAborted();
  if (code !== 0) throw new SlipwayError("unavailable", `git: ${errors.trim().slice(0, 1000)}`);
  return out;
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}
