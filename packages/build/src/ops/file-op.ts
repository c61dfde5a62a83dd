import { SlipwayError } from "@slipway/base";
import type { Digest } from "@slipway/oci";
import type { Layer, LayerEntry, Lease, RootView } from "@slipway/store";
import { lstatNs } from "@slipway/sys";
import { cacheKey, type StepRecord } from "../cache.ts";
import { type FileOperation, type MkdirAction, operationDigest, type Vertex } from "../graph.ts";
import type { IngredientInput, Ingredients } from "../ingredients.ts";
import { type FileManifest, manifestDigest } from "../manifest.ts";
import type { Result, RootResult } from "../result.ts";
import { type BuildSession, missReasons, useRecord } from "../session.ts";
import type { Work } from "../solver.ts";
import { ContextSnapshot } from "../sources/context-snapshot.ts";
import type { FileTree } from "../sources/file-tree.ts";
import { RootTree } from "../sources/root-tree.ts";
import { nextTurn } from "../turn.ts";
import type { CopyAction } from "./copy-action.ts";
import { EntrySet, type PlacedSource, placeSources } from "./copy-entries.ts";
import { checkConflicts, type DestinationFacts, destinationFacts, factsKey } from "./destination.ts";
import { MadeView } from "./made-view.ts";
import { type Owner, resolveOwner } from "./owner.ts";
import { earlierContent } from "./reuse.ts";
import { describeSelection, type SelectedSource, selectedBytes, selectedItems, selectSources } from "./selection.ts";
import { unpackArchives } from "./unpack.ts";

/** Selections of a root file system above this are not read for a key: making the layer takes no longer. */
const MOST_HASHED_BYTES = 64 * 1024 * 1024;

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

interface FileStep {
  readonly session: BuildSession;
  readonly vertex: Vertex;
  readonly operation: FileOperation;
  readonly root: RootResult;
  readonly inputs: readonly Result[];
  /** Of sources that are no root file systems. */
  readonly early: CopyInputs | undefined;
  /** How the layer is best kept: as a tree when a step needs it at once. */
  readonly form: "tar" | "tree";
}

export async function prepareFile(step: FileStep, signal: AbortSignal): Promise<Work<Result>> {
  const { session, vertex, operation, root, inputs, early } = step;
  const { cache } = session.services;
  const definition = operationDigest(operation);
  const identities = early?.manifest ? [early.manifest.digest] : inputs.map(identityOf);
  const key = cacheKey("file", [definition, root.chainId ?? null, ...identities]);
  const fresh = vertex.about.noCache === true;
  const record = fresh ? undefined : cache.find(key);
  if (record !== undefined) {
    useRecord(session, vertex, { key, cached: true });
    return { found: resultOf(record, vertex) };
  }
  const copied = await completeInputs(step, signal);
  await nextTurn(copied?.manifest?.files.size ?? 0);
  const view = await viewOf(session, root, signal);
  const destination = await describeDestination(operation.action, view);
  const contentKey =
    copied !== undefined && copied.manifest === undefined
      ? undefined
      : cacheKey("file-content", [
          definition,
          copied?.manifest?.digest ?? null,
          factsKey(destination.facts),
          ownerKey(destination.owner),
        ]);
  const making: Making = {
    ...step,
    key,
    contentKey,
    copied,
    view,
    destination,
    ingredients: ingredientsOf(step, copied),
  };
  const restacked = fresh || contentKey === undefined ? undefined : restack(making);
  if (restacked !== undefined) return { found: restacked };
  return {
    key: fresh ? `${key} ${session.scope} ${session.lease.id}` : key,
    reasons: () => missReasons(session, vertex, making.ingredients, manifestsOf(making)),
    run: (runSignal) => make(making, runSignal),
    done: () => useRecord(session, vertex, { key, cached: false }),
  };
}

/** What a copy looks at of its root. A layer that this build has just made as a tar is not unpacked for that. */
async function viewOf(session: BuildSession, root: RootResult, signal: AbortSignal): Promise<RootView> {
  const { store } = session.services;
  if (root.made === undefined) return store.layers.view(root.chainId, signal);
  return new MadeView(await viewOf(session, root.made.on, signal), root.made.entries, store);
}

interface Making extends FileStep {
  readonly key: Digest;
  readonly contentKey: Digest | undefined;
  readonly copied: CopyInputs | undefined;
  readonly view: RootView;
  readonly destination: Destination;
  readonly ingredients: Ingredients;
}

interface Destination {
  readonly facts: DestinationFacts;
  readonly owner: Owner | undefined;
}

async function describeDestination(action: CopyAction | MkdirAction, view: RootView): Promise<Destination> {
  const spec = action.kind === "mkdir" ? action.user : action.chown;
  const owner = spec === undefined || spec === "" ? undefined : await resolveOwner(spec, () => Promise.resolve(view));
  return { facts: destinationFacts(view, action.kind === "mkdir" ? `${action.path}/` : action.destination), owner };
}

function ownerKey(owner: Owner | undefined): string | null {
  return owner === undefined ? null : `${owner.uid}:${owner.gid}`;
}

/** The sources of a copy from root file systems, described if that is cheap enough to be worth it. */
async function completeInputs(step: FileStep, signal: AbortSignal): Promise<CopyInputs | undefined> {
  const { action } = step.operation;
  if (action.kind === "mkdir") return undefined;
  if (step.early !== undefined) return step.early;
  const sources = selectSources(action, await treesOf(step.session, step.inputs, signal));
  if (selectedBytes(sources) > MOST_HASHED_BYTES) return { sources };
  const files = await describeSelection(sources, signal);
  return { sources, manifest: { digest: manifestDigest(files), files } };
}

/** The same layer as an earlier one, on this root: a row. */
function restack(making: Making): RootResult | undefined {
  const { session, vertex, root, key, contentKey } = making;
  const { cache, store } = session.services;
  const record = contentKey === undefined ? undefined : cache.findByContent(contentKey);
  if (record === undefined) return undefined;
  const stacked =
    record.layer && record.chainId ? store.layers.restack(root.chainId, record.chainId, session.lease) : undefined;
  if (record.layer && stacked === undefined) return undefined;
  if (making.copied !== undefined && !isUnpacking(making)) conflictsOf(making, making.copied.sources);
  const chainId = stacked?.chainId ?? root.chainId;
  const { chainId: _chain, ...rest } = record;
  const copy: StepRecord = { ...rest, key, ...(chainId !== undefined && { chainId }), ingredients: making.ingredients };
  cache.add(copy, manifestsOf(making));
  useRecord(session, vertex, { key, cached: true });
  return resultOf(copy, vertex);
}

function isUnpacking({ operation }: Making): boolean {
  return operation.action.kind === "copy" && operation.action.unpack;
}

/** Where the sources go, once it is sure that nothing is in their way. */
function conflictsOf({ operation, destination, view }: Making, sources: readonly SelectedSource[]): PlacedSource[] {
  if (operation.action.kind === "mkdir") return [];
  const placed = placeSources(operation.action, sources, destination.facts);
  if (destination.facts.kind !== "missing") checkConflicts(view, placed);
  return placed;
}

async function make(making: Making, signal: AbortSignal): Promise<RootResult> {
  const { session, vertex, root, key, contentKey, ingredients } = making;
  const { cache, store } = session.services;
  // Its own lease: the build that began this work may leave before another that waits for it too.
  await using lease = store.leases.open(`build step ${vertex.about.name}`);
  const entries = await entriesOf({ ...making, lease }, signal);
  await nextTurn(entries.length);
  const layer = entries.length === 0 ? undefined : await addLayer({ ...making, lease }, entries, signal);
  if (layer !== undefined) checkUnchanged(making, entries);
  await nextTurn(entries.length);
  const chainId = layer?.chainId ?? root.chainId;
  const record: StepRecord = {
    key,
    ...(contentKey !== undefined && { contentKey }),
    ...(chainId !== undefined && { chainId }),
    layer: layer !== undefined,
    createdAt: Date.now(),
    size: layer?.size ?? 0,
    description: vertex.about.name,
    ingredients,
  };
  cache.add(record, manifestsOf(making));
  const isTar = layer !== undefined && making.form === "tar";
  return { ...resultOf(record, vertex), ...(isTar && { made: { entries, on: root } }) };
}

type MakingWithLease = Making & { readonly lease: Lease };

async function entriesOf(making: MakingWithLease, signal: AbortSignal): Promise<LayerEntry[]> {
  const { operation, destination, session, vertex, lease } = making;
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
  const reuse = await earlierContent(
    session,
    vertex,
    { files: making.copied?.manifest?.files, form: making.form },
    signal,
  );
  const set = new EntrySet({
    ...options,
    ...(action.chmod !== undefined && { chmod: action.chmod }),
    ...(reuse && { reuse }),
  });
  const sources = making.copied?.sources ?? [];
  await nextTurn(selectedItems(sources));
  const unpacked = action.unpack ? await unpackArchives(sources, { session, lease, signal }) : sources;
  for (const placed of conflictsOf(making, unpacked)) set.add(placed);
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

/** Files of trees are shared by hard link; what no step needs at once is one tar, quickly written and unpacked when needed. */
function addLayer(making: MakingWithLease, entries: readonly LayerEntry[], signal: AbortSignal): Promise<Layer> {
  const { session, root, lease, form } = making;
  const shared = entries.some((entry) => entry.kind === "file" && entry.content.from === "tree");
  return session.services.store.layers.fromEntries({
    ...(root.chainId !== undefined && { parent: root.chainId }),
    entries,
    form: shared ? "tree" : form,
    remember: !shared && form === "tar",
    lease,
    signal,
  });
}

/** What was read for the layer must be what was read for the key, or the cache would lie from now on. */
function checkUnchanged({ copied }: Making, entries: readonly LayerEntry[]): void {
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

function manifestsOf({ copied }: Making): ReadonlyMap<Digest, FileManifest> {
  return copied?.manifest === undefined ? new Map() : new Map([[copied.manifest.digest, copied.manifest.files]]);
}

function identityOf(result: Result): string {
  return result.kind === "root" ? (result.chainId ?? "empty") : (result.tree.identity ?? "");
}

function ingredientsOf({ vertex, root, operation, inputs }: FileStep, copied: CopyInputs | undefined): Ingredients {
  const rootInput: IngredientInput = {
    role: "root",
    identity: root.chainId ?? "empty",
    step: root.step,
    ...(root.image !== undefined && { image: root.image }),
  };
  const manifest = copied?.manifest?.digest;
  const sources = inputs.map(
    (input, index): IngredientInput => ({
      role: `source ${index + 1}`,
      identity: manifest ?? identityOf(input),
      step: input.step,
      ...(manifest !== undefined && { manifest }),
    }),
  );
  const { kind: _kind, ...settings } = operation.action;
  return {
    text: vertex.about.text,
    settings: Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, JSON.stringify(value)])),
    env: {},
    buildArgs: {},
    // Files first: they are the nearer cause, and the root hardly matters to a copy.
    inputs: [...sources.slice(0, manifest === undefined ? sources.length : 1), rootInput],
  };
}

export function resultOf(record: StepRecord, vertex: Vertex): RootResult {
  return {
    kind: "root",
    ...(record.chainId !== undefined && { chainId: record.chainId }),
    layer: record.layer,
    createdAt: record.createdAt,
    step: vertex.about.name,
  };
}
