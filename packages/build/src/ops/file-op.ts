import type { ChainId, Digest } from "@slipway/oci";
import type { Layer, LayerEntry, Lease } from "@slipway/store";
import { cacheKey, type StepRecord } from "../cache.ts";
import { parentReason } from "../causes.ts";
import { type FileOperation, operationDigest, type Vertex } from "../graph.ts";
import type { IngredientInput, Ingredients } from "../ingredients.ts";
import { type FileManifest, manifestDigest } from "../manifest.ts";
import type { Result, RootResult } from "../result.ts";
import { type BuildSession, missReasons, useRecord } from "../session.ts";
import type { Work } from "../solver.ts";
import { nextTurn } from "../turn.ts";
import { type CopyInputs, treesOf } from "./copy-inputs.ts";
import type { EarlyLayer } from "./early-layer.ts";
import {
  checkPlan,
  contentKeyOf,
  describeDestination,
  type LayerPlan,
  layerEntries,
  storeLayer,
  viewOf,
} from "./make-layer.ts";
import { describeSelection, selectedBytes, selectSources } from "./selection.ts";

/** Selections of a root file system above this are not read for a key: making the layer takes no longer. */
const MOST_HASHED_BYTES = 64 * 1024 * 1024;

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
  /** A layer that was made while the steps below still ran, for the destination as it was before them. */
  readonly earlyLayer: Promise<EarlyLayer | undefined> | undefined;
}

type Making = FileStep &
  LayerPlan & {
    readonly key: Digest;
    readonly contentKey: Digest | undefined;
    readonly ingredients: Ingredients;
  };

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
    return { found: resultOf(record, vertex, root) };
  }
  const copied = await completeInputs(step, signal);
  await nextTurn(copied?.manifest?.files.size ?? 0);
  const view = await viewOf(session, root, signal);
  const destination = await describeDestination(operation.action, view);
  const contentKey = contentKeyOf(operation, copied, destination);
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
    reasons: () => {
      const inputOf = (role: string) => (role === "root" ? root : inputs[Number(role.slice("source ".length)) - 1]);
      const parent = (role: string) => parentReason(session, inputOf(role));
      return missReasons(session, vertex, making.ingredients, { manifests: manifestsOf(making), parent });
    },
    run: (runSignal) => make(making, runSignal),
    done: () => useRecord(session, vertex, { key, cached: false }),
  };
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
  checkPlan(making);
  const chainId = stacked?.chainId ?? root.chainId;
  const { chainId: _chain, ...rest } = record;
  const copy: StepRecord = { ...rest, key, ...(chainId !== undefined && { chainId }), ingredients: making.ingredients };
  cache.add(copy, manifestsOf(making));
  useRecord(session, vertex, { key, cached: true });
  return resultOf(copy, vertex, root);
}

async function make(making: Making, signal: AbortSignal): Promise<RootResult> {
  const { session, vertex, root, key, contentKey, ingredients } = making;
  const { cache, store } = session.services;
  // Its own lease: the build that began this work may leave before another that waits for it too.
  await using lease = store.leases.open(`build step ${vertex.about.name}`);
  const { entries, layer } = (await takeEarly(making, lease)) ?? (await makeNow(making, lease, signal));
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
  return { ...resultOf(record, vertex, root), ...(isTar && { made: { entries, on: root } }) };
}

interface MadeLayer {
  readonly entries: readonly LayerEntry[];
  readonly layer: Layer | undefined;
}

/** The layer that was made ahead, if the destination turned out as expected. */
async function takeEarly(making: Making, lease: Lease): Promise<MadeLayer | undefined> {
  const early = await making.earlyLayer;
  if (early === undefined || making.contentKey === undefined || early.contentKey !== making.contentKey)
    return undefined;
  const { store } = making.session.services;
  // The build that made it may have been cancelled while this work goes on for another; then it may be gone.
  if (store.layers.get(early.layer.chainId) === undefined) return undefined;
  checkPlan(making);
  const layer = store.layers.restack(making.root.chainId, early.layer.chainId, lease);
  return layer && { entries: early.entries, layer };
}

async function makeNow(making: Making, lease: Lease, signal: AbortSignal): Promise<MadeLayer> {
  const entries = await layerEntries(making, lease, signal);
  await nextTurn(entries.length);
  if (entries.length === 0) return { entries, layer: undefined };
  const parent: ChainId | undefined = making.root.chainId;
  return { entries, layer: await storeLayer(making, { parent, entries, lease }, signal) };
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

export function resultOf(record: StepRecord, vertex: Vertex, below: RootResult): RootResult {
  return {
    kind: "root",
    ...(record.chainId !== undefined && { chainId: record.chainId }),
    layer: record.layer,
    createdAt: record.createdAt,
    step: vertex.about.name,
    vertex,
    below,
  };
}
