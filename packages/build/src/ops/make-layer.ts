import { SlipwayError } from "@slipway/base";
import type { ChainId, Digest } from "@slipway/oci";
import type { Layer, LayerEntry, Lease, RootView } from "@slipway/store";
import { lstatNs } from "@slipway/sys";
import { cacheKey } from "../cache.ts";
import { type FileOperation, type MkdirAction, operationDigest, type Vertex } from "../graph.ts";
import type { RootResult } from "../result.ts";
import type { BuildSession } from "../session.ts";
import { ContextSnapshot } from "../sources/context-snapshot.ts";
import { nextTurn } from "../turn.ts";
import type { CopyAction } from "./copy-action.ts";
import { EntrySet, type PlacedSource, placeSources } from "./copy-entries.ts";
import type { CopyInputs } from "./copy-inputs.ts";
import { checkConflicts, type DestinationFacts, destinationFacts, factsKey } from "./destination.ts";
import { MadeView } from "./made-view.ts";
import { type Owner, resolveOwner } from "./owner.ts";
import { earlierContent } from "./reuse.ts";
import { type SelectedSource, selectedItems } from "./selection.ts";
import { unpackArchives } from "./unpack.ts";

/** All that decides a layer of copied files: what is copied, and what the destination looks like. */
export interface LayerPlan {
  readonly session: BuildSession;
  readonly vertex: Vertex;
  readonly operation: FileOperation;
  readonly copied: CopyInputs | undefined;
  readonly view: RootView;
  readonly destination: Destination;
  /** How the layer is best kept: as a tree when a step needs it at once. */
  readonly form: "tar" | "tree";
}

/** What a copy looks at of its root. A layer that this build has just made as a tar is not unpacked for that. */
export async function viewOf(session: BuildSession, root: RootResult, signal: AbortSignal): Promise<RootView> {
  const { store } = session.services;
  if (root.made === undefined) return store.layers.view(root.chainId, signal);
  return new MadeView(await viewOf(session, root.made.on, signal), root.made.entries, store);
}

export interface Destination {
  readonly facts: DestinationFacts;
  readonly owner: Owner | undefined;
}

export async function describeDestination(action: CopyAction | MkdirAction, view: RootView): Promise<Destination> {
  const spec = action.kind === "mkdir" ? action.user : action.chown;
  const owner = spec === undefined || spec === "" ? undefined : await resolveOwner(spec, () => Promise.resolve(view));
  return { facts: destinationFacts(view, action.kind === "mkdir" ? `${action.path}/` : action.destination), owner };
}

function ownerKey(owner: Owner | undefined): string | null {
  return owner === undefined ? null : `${owner.uid}:${owner.gid}`;
}

/** The same for every root on which the layer is the same. Undefined when that would take reading too much. */
export function contentKeyOf(
  operation: FileOperation,
  copied: CopyInputs | undefined,
  { facts, owner }: Destination,
): Digest | undefined {
  if (copied !== undefined && copied.manifest === undefined) return undefined;
  const parts = [operationDigest(operation), copied?.manifest?.digest ?? null, factsKey(facts), ownerKey(owner)];
  return cacheKey("file-content", parts);
}

/** Where the sources go, once it is sure that nothing is in their way. */
function placedSources(
  { operation, destination, view }: LayerPlan,
  sources: readonly SelectedSource[],
): PlacedSource[] {
  if (operation.action.kind === "mkdir") return [];
  const placed = placeSources(operation.action, sources, destination.facts);
  if (destination.facts.kind !== "missing") checkConflicts(view, placed);
  return placed;
}

/** Throws `invalid` when something of the root is in the way of what is copied. An archive is looked into only when it is unpacked. */
export function checkPlan(plan: LayerPlan): void {
  const { action } = plan.operation;
  if (plan.copied !== undefined && action.kind === "copy" && !action.unpack) placedSources(plan, plan.copied.sources);
}

/** The entries of the layer, complete with the directories above them; none when there is nothing to do. */
export async function layerEntries(plan: LayerPlan, lease: Lease, signal: AbortSignal): Promise<LayerEntry[]> {
  const { operation, destination, session, vertex, copied, form } = plan;
  const { action } = operation;
  const { facts, owner } = destination;
  const options = {
    facts,
    ...(owner !== undefined && { owner }),
    ...(action.epoch !== undefined && { epoch: action.epoch }),
  };
  if (action.kind === "mkdir") {
    if (facts.kind === "dir") return [];
    const set = new EntrySet(options);
    set.require(facts.target.slice(1));
    return set.entries();
  }
  const reuse = await earlierContent(session, vertex, { files: copied?.manifest?.files, form }, signal);
  const set = new EntrySet({
    ...options,
    ...(action.chmod !== undefined && { chmod: action.chmod }),
    ...(reuse && { reuse }),
  });
  const sources = copied?.sources ?? [];
  await nextTurn(selectedItems(sources));
  const unpacked = action.unpack
    ? await unpackArchives(sources, { session, lease, signal, downloads: action.unpackDownloads === true })
    : sources;
  for (const placed of placedSources(plan, unpacked)) set.add(placed);
  addHeredocs(set, action, facts);
  return set.entries();
}

function addHeredocs(set: EntrySet, action: CopyAction, facts: DestinationFacts): void {
  const target = facts.target.slice(1);
  const into = action.destination.endsWith("/") || facts.kind === "dir";
  for (const source of action.sources) {
    if (source.kind !== "heredoc") continue;
    const path = into ? (target === "" ? source.name : `${target}/${source.name}`) : target;
    set.addFile(path, new TextEncoder().encode(source.content));
  }
}

/**
 * Files of trees are shared by hard link; what no step needs at once is one tar, quickly written and unpacked when needed.
 * The files of a context must be what they were when the key was made. Throws `conflict`.
 */
export async function storeLayer(
  plan: LayerPlan,
  made: { readonly parent: ChainId | undefined; readonly entries: readonly LayerEntry[]; readonly lease: Lease },
  signal: AbortSignal,
): Promise<Layer> {
  const { parent, entries, lease } = made;
  const shared = entries.some((entry) => entry.kind === "file" && entry.content.from === "tree");
  const form = shared ? "tree" : plan.form;
  const layer = await plan.session.services.store.layers.fromEntries({
    ...(parent !== undefined && { parent }),
    entries,
    form,
    remember: form === "tar",
    lease,
    signal,
  });
  checkUnchanged(plan, entries);
  return layer;
}

/** What was read for the layer must be what was read for the key, or the cache would lie from now on. */
function checkUnchanged({ copied }: LayerPlan, entries: readonly LayerEntry[]): void {
  const read = new Set<string>();
  for (const entry of entries) if (entry.kind === "file" && entry.content.from === "host") read.add(entry.content.path);
  if (read.size === 0 || copied === undefined) return;
  for (const { tree, items } of copied.sources) {
    if (!(tree instanceof ContextSnapshot)) continue;
    for (const { entry } of items) {
      const path = `${tree.root}/${entry.path}`;
      if (entry.kind !== "file" || !read.has(path)) continue;
      if (lstatNs(path)?.mtime === entry.mtime) continue;
      throw new SlipwayError("conflict", `${path} changed while the build was reading it`, {
        hint: "Build again when nothing writes to the context any more, or add the file to .dockerignore.",
      });
    }
  }
}
