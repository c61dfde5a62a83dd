import type { MissReason } from "./faces.ts";
import type { Result, RootResult } from "./result.ts";
import { type BuildSession, placeOf } from "./session.ts";

/**
 * Why an input is not what it was: the nearest step below whose own layer differs from the last build's. What lies on it
 * and came from the cache is only another stack of the same layers, and names nothing that anybody changed.
 */
export function parentReason(session: BuildSession, input: Result | undefined): MissReason | undefined {
  if (input?.kind !== "root") return undefined;
  let lowest: RootResult | undefined;
  for (let at: RootResult | undefined = input; at?.vertex !== undefined; at = at.below) {
    if (differs(session, at)) return { kind: "parent", subject: at.step };
    lowest = at;
  }
  return lowest && baseReason(session, lowest);
}

function differs(session: BuildSession, { vertex, layer, chainId }: RootResult): boolean {
  if (vertex === undefined) return false;
  const place = placeOf(session, vertex);
  const { cache, store } = session.services;
  const previous = cache.previous(place);
  if (previous?.record === undefined) return session.uses.some((use) => use.place.text === place.text && !use.cached);
  if (previous.text !== vertex.about.text || previous.record.layer !== layer) return true;
  if (!layer || chainId === undefined || previous.record.chainId === undefined) return false;
  const before = store.layers.get(previous.record.chainId)?.diffId;
  return before !== undefined && before !== store.layers.get(chainId)?.diffId;
}

/** The base image of a stage whose steps are all what they were. */
function baseReason(session: BuildSession, { vertex, below }: RootResult): MissReason | undefined {
  if (vertex === undefined || below?.image === undefined) return undefined;
  const inputs = session.services.cache.previous(placeOf(session, vertex))?.record?.ingredients.inputs;
  const before = inputs?.find(({ role }) => role === "root")?.image;
  if (before === undefined || before.id === below.image.id) return undefined;
  return { kind: "base-image", subject: below.image.name, before: before.id, after: below.image.id };
}
