import type { Digest } from "@slipway/oci";
import type { Layer, LayerEntry } from "@slipway/store";
import type { FileOperation, Vertex } from "../graph.ts";
import type { RootResult } from "../result.ts";
import type { BuildSession } from "../session.ts";
import type { CopyInputs } from "./copy-inputs.ts";
import { contentKeyOf, describeDestination, layerEntries, storeLayer, viewOf } from "./make-layer.ts";

export interface EarlyLayer {
  /** What it was made for: it is the wanted one if the wanted one has the same. */
  readonly contentKey: Digest;
  readonly layer: Layer;
  readonly entries: readonly LayerEntry[];
}

export interface EarlyRequest {
  readonly session: BuildSession;
  readonly vertex: Vertex;
  readonly operation: FileOperation;
  readonly copied: CopyInputs;
  /** The root before the steps that still run. */
  readonly expected: RootResult;
  readonly form: "tar" | "tree";
}

/**
 * Makes a copy's layer before the root that it goes to is there, as it has to be if the steps in between leave the
 * destination as it is. Most do; where they do not, the work was for nothing and the layer is collected.
 */
export async function makeEarlyLayer(request: EarlyRequest, signal: AbortSignal): Promise<EarlyLayer | undefined> {
  const { session, operation, copied, expected } = request;
  const { cache } = session.services;
  const view = await viewOf(session, expected, signal);
  const destination = await describeDestination(operation.action, view);
  const contentKey = contentKeyOf(operation, copied, destination);
  if (contentKey === undefined || cache.findByContent(contentKey) !== undefined) return undefined;
  const plan = { ...request, view, destination };
  const entries = await layerEntries(plan, session.lease, signal);
  if (entries.length === 0) return undefined;
  const layer = await storeLayer(plan, { parent: undefined, entries, lease: session.lease }, signal);
  return { contentKey, layer, entries };
}
