import { type HistoryEntry, type ImageConfig, parseReference, type Reference, withDefaultTag } from "@slipway/oci";
import type { Image, LayerStore } from "@slipway/store";
import { HISTORY_COMMENT } from "../plan/history.ts";
import type { Plan } from "../plan/plan-request.ts";
import type { HistoryDraft } from "../plan/stage-state.ts";
import { type Result, rootOf } from "../result.ts";
import type { BuildSession } from "../session.ts";

/** Names as given, complete. Throws `invalid`. */
export function parseTags(tags: readonly string[]): Reference[] {
  return tags.map((tag) => withDefaultTag(parseReference(tag)));
}

/** Makes the image of a finished build: one transaction, nothing is copied. */
export async function putImage(
  session: BuildSession,
  made: {
    readonly plan: Plan;
    readonly results: ReadonlyMap<string, Result>;
    readonly root: Result;
    readonly names: readonly Reference[];
  },
): Promise<Image> {
  const { store } = session.services;
  const config = imageConfig(made.plan, made.results, { root: made.root, layers: store.layers });
  return store.images.put({ config, names: made.names, lease: session.lease });
}

export function imageConfig(
  plan: Plan,
  results: ReadonlyMap<string, Result>,
  from: { readonly root: Result; readonly layers: LayerStore },
): ImageConfig {
  const { chainId } = rootOf(from.root);
  const diffIds = chainId === undefined ? [] : from.layers.stack(chainId).map(({ diffId }) => diffId);
  const history = finishHistory(plan, results);
  const created = history.at(-1)?.created ?? plan.baseCreated;
  const { author, platform, config } = plan;
  return {
    ...(created !== undefined && { created }),
    ...(author !== undefined && { author }),
    ...platform,
    config,
    diffIds,
    history,
  };
}

/**
 * The history with times, as BuildKit gives them: an entry with a layer has the time at which the layer was made, one
 * without that of the next new layer or of the last one before it. So an image that is all from the cache has the ID
 * that it had.
 */
function finishHistory(plan: Plan, results: ReadonlyMap<string, Result>): HistoryEntry[] {
  const epoch = plan.epoch === undefined ? undefined : timeText(plan.epoch * 1000);
  const entries = plan.history.map((draft) => historyEntry(draft, results, epoch));
  const firstNew = entries.findIndex(
    ({ created }, index) => created !== undefined && plan.history[index]?.inherited === undefined,
  );
  let current = entries[firstNew]?.created ?? plan.baseCreated ?? epoch;
  return entries.map((entry, index) => {
    if (plan.history[index]?.inherited !== undefined) return entry;
    if (entry.created === undefined) return { ...(current !== undefined && { created: current }), ...entry };
    if (index >= firstNew && firstNew >= 0) current = entry.created;
    return entry;
  });
}

function historyEntry(
  draft: HistoryDraft,
  results: ReadonlyMap<string, Result>,
  epoch: string | undefined,
): HistoryEntry {
  if (draft.inherited !== undefined) {
    const { created, author, comment } = draft.inherited;
    return {
      ...(created !== undefined && { created }),
      created_by: draft.createdBy,
      ...(author !== undefined && { author }),
      ...(comment !== undefined && { comment }),
      ...(!draft.layer && { empty_layer: true }),
    };
  }
  const result = draft.vertex === undefined ? undefined : results.get(draft.vertex.id);
  const layer = result?.kind === "root" && result.layer;
  const created = epoch ?? (layer ? timeText(result.createdAt) : undefined);
  return {
    ...(created !== undefined && { created }),
    created_by: draft.createdBy,
    comment: HISTORY_COMMENT,
    ...(!layer && { empty_layer: true }),
  };
}

function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.000Z$/, "Z");
}
