import { posix } from "node:path";
import { globPattern, hasGlob, IgnoreMatcher, ignorePatterns, sourceText } from "@slipway/dockerfile";
import type { FileManifest, ManifestEntry } from "../manifest.ts";
import type { FileTree, TreeEntry } from "../sources/file-tree.ts";
import type { CopyAction, CopySourceSpec } from "./copy-action.ts";

/** What one source of a COPY comes to, before it is known where it goes. */
export interface SelectedSource {
  readonly tree: FileTree;
  /** Its name when it is put into a directory. */
  readonly name: string;
  /** Of a directory its contents are copied; `merged` keeps what the destination's directories are (`--parents`). */
  readonly kind: "file" | "contents" | "merged";
  /** Unpacked: owners and modes are those of the archive, whatever the instruction says. */
  readonly unpacked?: boolean;
  /** Parents before children. The path of a single file is "". */
  readonly items: readonly SelectedItem[];
}

export interface SelectedItem {
  /** Below the place that the source is copied to. */
  readonly path: string;
  readonly entry: TreeEntry;
}

/** Everything that a COPY reads, in order. Throws `not-found` for a source that is not there. */
export function selectSources(action: CopyAction, trees: readonly FileTree[]): SelectedSource[] {
  const excluded = patterns(action.exclude);
  return action.sources.flatMap((source) => {
    if (source.kind === "heredoc") return [];
    const tree = trees[source.input - 1];
    if (tree === undefined) return [];
    return action.parents ? [withParents(tree, source.path, excluded)] : plainSources(tree, source, excluded);
  });
}

function patterns(texts: readonly string[]): IgnoreMatcher {
  const range = { file: "--exclude", startLine: 1, endLine: 1 };
  return new IgnoreMatcher(ignorePatterns(texts, sourceText("--exclude", texts.join("\n")), range));
}

function plainSources(
  tree: FileTree,
  source: CopySourceSpec & { kind: "path" },
  excluded: IgnoreMatcher,
): SelectedSource[] {
  const found = hasGlob(source.path) ? matches(tree, source.path) : [source.path];
  return found.flatMap((path): SelectedSource[] => {
    const entry = tree.lstat(tree.resolve(path));
    if (entry === undefined) throw tree.missing(path);
    const name = posix.basename(path);
    if (entry.kind === "dir") return [{ tree, name, kind: "contents", items: below(tree, entry.path, excluded) }];
    if (!excluded.empty && excluded.ignores(name)) return [];
    return [{ tree, name, kind: "file", items: [{ path: "", entry }] }];
  });
}

/** Paths that match a pattern of `filepath.Match`, part by part, sorted. */
function matches(tree: FileTree, pattern: string): string[] {
  let found = [""];
  for (const part of pattern.split("/").filter((name) => name !== "")) {
    const test = globPattern(part);
    found = found.flatMap((directory) => {
      const resolved = tree.resolve(directory);
      if (!hasGlob(part)) {
        const path = join(directory, part);
        return tree.lstat(path) === undefined ? [] : [path];
      }
      if (tree.lstat(resolved)?.kind !== "dir") return [];
      return tree
        .names(resolved)
        .filter((name) => test.test(name))
        .map((name) => join(directory, name));
    });
  }
  return found;
}

/** All entries below a directory; what is excluded, and only that, is left out. */
function below(tree: FileTree, base: string, excluded: IgnoreMatcher): SelectedItem[] {
  const items: SelectedItem[] = [];
  const visit = (path: string): void => {
    for (const name of tree.names(join(base, path))) {
      const relative = join(path, name);
      const entry = tree.at(join(base, relative));
      if (entry === undefined) continue;
      if (!excluded.empty && excluded.ignores(relative)) {
        if (entry.kind === "dir" && !excluded.canPrune(relative)) visitHidden(relative, { path: relative, entry });
        continue;
      }
      items.push({ path: relative, entry });
      if (entry.kind === "dir") visit(relative);
    }
  };
  /** An excluded directory is made after all when a negated pattern keeps something in it. */
  const visitHidden = (path: string, item: SelectedItem): void => {
    const at = items.length;
    visit(path);
    if (items.length > at) items.splice(at, 0, item);
  };
  visit("");
  return items;
}

/** `--parents`: what matches, with the directories above it as far as the pivot. */
function withParents(tree: FileTree, written: string, excluded: IgnoreMatcher): SelectedSource {
  const at = written.indexOf("/./");
  const [base, pattern] = at < 0 ? ["", written] : [tree.resolve(written.slice(0, at)), written.slice(at + 3)];
  const wanted = patterns([pattern === "" ? "**" : pattern]);
  const items: SelectedItem[] = [];
  const directories: SelectedItem[] = [];
  const visit = (path: string, inside: boolean): void => {
    for (const name of tree.names(join(base, path))) {
      const relative = join(path, name);
      const entry = tree.at(join(base, relative));
      if (entry === undefined || (!excluded.empty && excluded.ignores(relative))) continue;
      const taken = inside || wanted.ignores(relative);
      const item = { path: relative, entry };
      if (taken) items.push(...directories.splice(0), item);
      if (entry.kind !== "dir") continue;
      if (!taken) directories.push(item);
      visit(relative, taken);
      const left = directories.indexOf(item);
      if (left >= 0) directories.splice(left);
    }
  };
  visit("", false);
  if (items.length === 0 && !hasGlob(pattern)) throw tree.missing(join(base, pattern));
  return { tree, name: "", kind: "merged", items };
}

/** What a selection reads, for keys and explanations: everything but times. Reads the content of files. */
export async function describeSelection(
  sources: readonly SelectedSource[],
  signal: AbortSignal,
): Promise<FileManifest> {
  const manifest = new Map<string, ManifestEntry>();
  for (const { tree, items } of sources) {
    const files = items.filter(({ entry }) => entry.kind === "file").map(({ entry }) => entry);
    const digests = (await tree.digests(files, signal))[Symbol.iterator]();
    for (const { entry } of items) {
      const content = entry.kind === "file" ? (digests.next().value ?? "") : (entry.target ?? "");
      manifest.set(entry.path, { metadata: metadataOf(entry), content });
    }
  }
  return manifest;
}

function metadataOf(entry: TreeEntry): string {
  const base = `${entry.kind} ${entry.mode.toString(8)} ${entry.uid}:${entry.gid}`;
  if (entry.major !== undefined) return `${base} ${entry.major}:${entry.minor ?? 0}`;
  if (entry.xattrs === undefined) return base;
  const xattrs = [...entry.xattrs].map(([name, value]) => `${name}=${Buffer.from(value).toString("hex")}`);
  return `${base} ${xattrs.join(" ")}`;
}

export function selectedItems(sources: readonly SelectedSource[]): number {
  return sources.reduce((count, { items }) => count + items.length, 0);
}

/** Bytes of all files. */
export function selectedBytes(sources: readonly SelectedSource[]): number {
  let bytes = 0;
  for (const { items } of sources) for (const { entry } of items) bytes += entry.size;
  return bytes;
}

function join(directory: string, name: string): string {
  if (directory === "") return name;
  return name === "" ? directory : `${directory}/${name}`;
}
