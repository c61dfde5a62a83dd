import type { FileContent } from "@slipway/store";
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
  now: FileManifest | undefined,
  signal: AbortSignal,
): Promise<((entry: TreeEntry, layerPath: string) => FileContent | undefined) | undefined> {
  if (now === undefined || now.size < FEW_FILES) return undefined;
  const { cache, store } = session.services;
  const record = cache.previous(placeOf(session, vertex))?.record;
  const input = record?.ingredients.inputs.find(({ manifest }) => manifest !== undefined);
  if (!record?.layer || record.chainId === undefined || input?.manifest === undefined) return undefined;
  const before = cache.manifest(input.manifest);
  const index = before && (await store.layers.tarIndex(record.chainId, signal));
  if (before === undefined || index === undefined) return undefined;
  return (entry, layerPath) => {
    const [old, content] = [before.get(entry.path)?.content, now.get(entry.path)?.content];
    const span = old !== undefined && old === content ? index.files.get(layerPath) : undefined;
    if (span === undefined || span.size !== entry.size) return undefined;
    return { from: "blob", digest: index.digest, offset: span.offset, size: span.size };
  };
}
