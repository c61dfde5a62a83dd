import type { Lease } from "@slipway/store";
import type { BuildSession } from "../session.ts";
import { archiveCompression, openArchive } from "../sources/archive-tree.ts";
import type { SelectedSource } from "./selection.ts";

interface UnpackWork {
  readonly session: BuildSession;
  readonly lease: Lease;
  /** Whether archives that were downloaded are unpacked too. */
  readonly downloads: boolean;
  readonly signal: AbortSignal;
}

/** ADD: files that are archives are replaced by what is in them; those that were downloaded only with `--unpack`. */
export async function unpackArchives(sources: readonly SelectedSource[], work: UnpackWork): Promise<SelectedSource[]> {
  const unpacked: SelectedSource[] = [];
  for (const source of sources) unpacked.push((await unpackOne(source, work)) ?? source);
  return unpacked;
}

async function unpackOne(
  { tree, kind, items, name }: SelectedSource,
  { session, lease, downloads, signal }: UnpackWork,
): Promise<SelectedSource | undefined> {
  const entry = items[0]?.entry;
  if (kind !== "file" || entry?.kind !== "file" || (tree.isDownload && !downloads)) return undefined;
  const content = tree.content(entry);
  if (content.from !== "host" && content.from !== "tree") return undefined;
  if ((await archiveCompression(content.path, signal)) === undefined) return undefined;
  const archive = await openArchive(content.path, { store: session.services.store, lease, signal });
  const inside = [...archive.entries].map((one) => ({ path: one.path, entry: one }));
  return { tree: archive, kind: "contents", name, items: inside, unpacked: true };
}
