import type { Digest } from "@slipway/oci";
import { type FileManifest, manifestDigest } from "../manifest.ts";
import type { Result } from "../result.ts";
import type { BuildSession } from "../session.ts";
import { ContextSnapshot } from "../sources/context-snapshot.ts";
import type { FileTree } from "../sources/file-tree.ts";
import { RootTree } from "../sources/root-tree.ts";
import { nextTurn } from "../turn.ts";
import type { CopyAction } from "./copy-action.ts";
import { describeSelection, type SelectedSource, selectedItems, selectSources } from "./selection.ts";

/** What a copy reads, found out before its destination is known. */
export interface CopyInputs {
  readonly sources: readonly SelectedSource[];
  /** Undefined when the sources are known by their chain IDs alone. */
  readonly manifest?: { readonly digest: Digest; readonly files: FileManifest };
}

export async function treesOf(
  session: BuildSession,
  inputs: readonly Result[],
  signal: AbortSignal,
): Promise<FileTree[]> {
  const { store, hashes } = session.services;
  return Promise.all(
    inputs.map(async (input) => {
      if (input.kind === "files") return input.tree;
      const view = await store.layers.view(input.chainId, signal);
      return new RootTree(view, { chainId: input.chainId, hashes, name: input.image?.name ?? input.step });
    }),
  );
}

/** Scans and hashes what a copy reads from contexts. Runs while the steps below it still do. */
export async function readCopyInputs(
  action: CopyAction,
  trees: readonly FileTree[],
  signal: AbortSignal,
): Promise<CopyInputs> {
  const [only, ...others] = trees;
  const memo = others.length === 0 && only instanceof ContextSnapshot && !only.young ? only.memo : undefined;
  const memoKey = JSON.stringify([action.sources, action.exclude, action.parents]);
  const known = memo?.get(memoKey) as CopyInputs | undefined;
  if (known !== undefined) return known;
  const sources = selectSources(action, trees);
  await nextTurn(selectedItems(sources));
  const files = await describeSelection(sources, signal);
  await nextTurn(files.size);
  const inputs = { sources, manifest: { digest: manifestDigest(files), files } };
  if (only instanceof ContextSnapshot && !only.young) memo?.set(memoKey, inputs);
  return inputs;
}

export function hasOnlyFiles(inputs: readonly Result[]): boolean {
  return inputs.every((input) => input.kind === "files");
}
