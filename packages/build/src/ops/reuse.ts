import type { ChainId } from "@slipway/oci";
import type { FileContent, Store } from "@slipway/store";
import { lstatNs } from "@slipway/sys";
import type { Vertex } from "../graph.ts";
import type { FileManifest } from "../manifest.ts";
import { type BuildSession, placeOf } from "../session.ts";
import type { TreeEntry } from "../sources/file-tree.ts";

/** Below this number of files, reading them is as quick as looking for them. */
const FEW_FILES = 64;

/**
 * The content of files that did not change since the step's last run, from the layer that it made then: one file to read
 * instead of thousands. The layer is found by the path in it, the content by the digest that it had.
 */
export async function earlierContent(
  session: BuildSession,
  vertex: Vertex,
  wanted: { readonly files: FileManifest | undefined; readonly form: "tar" | "tree" },
  signal: AbortSignal,
): Promise<((entry: TreeEntry, layerPath: string) => FileContent | undefined) | undefined> {
  const now = wanted.files;
  if (now === undefined || now.size < FEW_FILES) return undefined;
  const { cache, store } = session.services;
  const record = cache.previous(placeOf(session, vertex))?.record;
  const input = record?.ingredients.inputs.find(({ manifest }) => manifest !== undefined);
  if (!record?.layer || record.chainId === undefined || input?.manifest === undefined) return undefined;
  const before = cache.manifest(input.manifest);
  if (before === undefined) return undefined;
  const find =
    wanted.form === "tar" ? await inTar(store, record.chainId, signal) : await inTree(store, record.chainId, signal);
  return (entry, layerPath) => {
    const [old, content] = [before.get(entry.path)?.content, now.get(entry.path)?.content];
    return old !== undefined && old === content ? find(entry, layerPath) : undefined;
  };
}

type Find = (entry: TreeEntry, layerPath: string) => FileContent | undefined;

async function inTar(store: Store, chainId: ChainId, signal: AbortSignal): Promise<Find> {
  const index = await store.layers.tarIndex(chainId, signal);
  return ({ size }, layerPath) => {
    const span = index?.files.get(layerPath);
    if (index === undefined || span?.size !== size) return undefined;
    return { from: "blob", digest: index.digest, offset: span.offset, size };
  };
}

async function inTree(store: Store, chainId: ChainId, signal: AbortSignal): Promise<Find> {
  const [tree] = await store.layers.lowers(chainId, signal);
  return ({ size }, layerPath) => {
    const path = `${tree}/${layerPath}`;
    const there = lstatNs(path);
    return there?.kind === "file" && there.size === size ? { from: "tree", path, size } : undefined;
  };
}
