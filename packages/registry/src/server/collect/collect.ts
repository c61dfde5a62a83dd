import type { Digest } from "@slipway/oci";
import { decodeContent } from "../repository/blobs.ts";
import { CONTENTS, claimTime, digestIn, HOLDERS, KNOWN, layout, nameIn, partAfter } from "../repository/layout.ts";
import { removeTag, retireManifest } from "../repository/manifests.ts";
import type { Storage } from "../storage/contents.ts";
import { everyKey } from "../storage/records.ts";
import { Breath } from "./breath.ts";
import { planRepository, type RepositoryPlan } from "./repository-plan.ts";
import { type RetentionRule, ruleFor } from "./retention.ts";

export interface CollectOptions {
  readonly rules?: readonly RetentionRule[];
  /** What is younger, in milliseconds, stays although nothing refers to it. */
  readonly grace: number;
  /** Decides and changes nothing. */
  readonly plan?: boolean;
  readonly now?: number;
  /** Called for each repository that loses something. */
  readonly onRepository?: (plan: RepositoryPlan) => void;
}

export interface Collected {
  readonly tags: number;
  readonly manifests: number;
  /** Blobs whose bytes were removed, because no repository holds them any more. */
  readonly blobs: number;
  /** Bytes of those blobs. */
  readonly bytes: number;
  /** Bytes in the store that no record names: left by a crash. */
  readonly strays: number;
  /** Uploads that nobody went on with. */
  readonly uploads: number;
}

/**
 * Removes what nobody refers to, while pushes and pulls go on. References are counted by claims (`repository/layout.ts`):
 * a blob goes from a repository when no manifest of it claims it, its bytes go when no repository holds it, and neither
 * before the grace time is over. No lock is held: `RecordStore.removeUnless` gives way to a push that claims meanwhile.
 */
export async function collect(storage: Storage, options: CollectOptions): Promise<Collected> {
  const { now = Date.now(), grace, rules = [], plan: isPlan = false } = options;
  if (!isPlan) await storage.records.settle();
  const links = new Set<string>();
  const breath = new Breath();
  const count = { tags: 0, manifests: 0 };
  for await (const key of everyKey(storage.records, KNOWN)) {
    const name = nameIn(partAfter(key, KNOWN));
    const plan = await planRepository(storage, name, { rule: ruleFor(rules, name), now, grace });
    count.tags += plan.tags.length;
    count.manifests += plan.manifests.length;
    if (plan.tags.length + plan.manifests.length + plan.blobs.length > 0) options.onRepository?.(plan);
    const stay = isPlan ? plan.kept : [...plan.kept, ...(await carryOut(storage, plan))];
    for (const digest of stay) {
      await breath.take();
      links.add(linkKey(digest, name));
    }
    await breath.take();
  }
  const held = await holders(storage, links, { before: now - grace, isPlan });
  const contents = await sweepContents(storage, held, { before: now - grace, isPlan });
  const strays = await sweepPlaces(storage, contents.places, { before: now - grace, isPlan });
  const uploads = await expireUploads(storage, { before: now - grace, isPlan });
  return { ...count, blobs: contents.blobs, bytes: contents.bytes, strays, uploads };
}

/** Does what a plan says. Returns the blobs that stayed after all, because a push claimed them meanwhile. */
async function carryOut(storage: Storage, plan: RepositoryPlan): Promise<Digest[]> {
  const { records } = storage;
  const { name } = plan;
  for (const tag of plan.tags) await removeTag(storage, name, tag.tag, tag);
  for (const manifest of plan.manifests) await retireManifest(storage, name, manifest);
  for (let at = 0; at < plan.claims.length; at += BATCH) {
    await records.commit({ steps: [plan.claims.slice(at, at + BATCH).map((key) => ({ remove: key }))] });
  }
  const claimed: Digest[] = [];
  for (const { digest } of plan.blobs) {
    if (!(await records.removeUnless(layout.blob(name, digest), layout.uses(name, digest)))) claimed.push(digest);
  }
  if (plan.isEmpty && (await records.get(layout.catalog(name))) !== undefined) {
    await records.removeUnless(layout.catalog(name), layout.manifests(name));
  }
  return claimed;
}

/** Records that one transaction removes: small enough that no push waits for it noticeably. */
const BATCH = 64;

interface Sweep {
  /** What is younger stays; milliseconds since 1970. */
  readonly before: number;
  readonly isPlan: boolean;
}

/** Blobs that some repository holds; claims of repositories that do not hold them any more are removed. */
async function holders(storage: Storage, links: ReadonlySet<string>, { before, isPlan }: Sweep): Promise<Set<Digest>> {
  const held = new Set<Digest>();
  let stale: string[] = [];
  let newest: { link: string; key: string } | undefined;
  const breath = new Breath();
  for await (const key of everyKey(storage.records, HOLDERS)) {
    await breath.take();
    const part = partAfter(key, HOLDERS);
    const digest = digestIn(part);
    const link = linkKey(digest, nameIn(partAfter(key, `${HOLDERS}${part}/`)));
    const isOld = claimTime(key) < before;
    if (isOld && !links.has(link)) stale.push(key);
    else held.add(digest);
    // Each push of the same blob adds a claim: the last one is enough.
    if (links.has(link) && newest?.link === link && claimTime(newest.key) < before) stale.push(newest.key);
    newest = { link, key };
    if (stale.length < BATCH || isPlan) continue;
    await storage.records.commit({ steps: [stale.map((remove) => ({ remove }))] });
    stale = [];
  }
  if (!isPlan && stale.length > 0) await storage.records.commit({ steps: [stale.map((remove) => ({ remove }))] });
  return held;
}

async function sweepContents(storage: Storage, held: ReadonlySet<Digest>, { before, isPlan }: Sweep) {
  const { records, contents } = storage;
  /** Where the bytes lie that some record names. */
  const places = new Set<string>();
  let blobs = 0;
  let bytes = 0;
  const breath = new Breath();
  for await (const key of everyKey(records, CONTENTS)) {
    await breath.take();
    const digest = digestIn(partAfter(key, CONTENTS));
    const value = await records.get(key);
    if (value === undefined) continue;
    const content = decodeContent(value);
    const isFree = !held.has(digest) && content.time < before;
    if (isFree && (isPlan || (await records.removeUnless(key, layout.holders(digest))))) {
      blobs++;
      bytes += content.size;
      if (!isPlan) await contents.remove(content);
    }
    places.add(content.at);
  }
  return { blobs, bytes, places };
}

/** Bytes of an upload that had been idle for long look as old as those of a crash, also when it has just become a blob. */
async function sweepPlaces(storage: Storage, named: ReadonlySet<string>, { before, isPlan }: Sweep): Promise<number> {
  const found: string[] = [];
  for await (const at of storage.contents.strays(named, before)) found.push(at);
  const since = found.length === 0 ? named : await namedPlaces(storage);
  const strays = found.filter((at) => !since.has(at));
  if (!isPlan) for (const at of strays) await storage.contents.remove({ at });
  return strays.length;
}

async function namedPlaces({ records }: Storage): Promise<Set<string>> {
  const places = new Set<string>();
  const breath = new Breath();
  for await (const key of everyKey(records, CONTENTS)) {
    await breath.take();
    const value = await records.get(key);
    if (value !== undefined) places.add(decodeContent(value).at);
  }
  return places;
}

async function expireUploads(storage: Storage, { before, isPlan }: Sweep): Promise<number> {
  let count = 0;
  for await (const id of storage.contents.idleUploads(before)) {
    count++;
    if (!isPlan) await storage.contents.cancel(id);
  }
  return count;
}

function linkKey(digest: Digest, name: string): string {
  return `${digest} ${name}`;
}
