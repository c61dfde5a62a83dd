import type { Digest } from "@slipway/oci";
import { decodeContent } from "../repository/blobs.ts";
import { claimTime, digestIn, layout, partAfter } from "../repository/layout.ts";
import { decodeTag, findManifest } from "../repository/manifests.ts";
import type { Storage } from "../storage/contents.ts";
import { everyKey } from "../storage/records.ts";
import { Breath } from "./breath.ts";
import { type DatedTag, expiredTags, type RetentionRule } from "./retention.ts";

export interface PlanOptions {
  readonly rule: RetentionRule | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** What is younger, in milliseconds, stays although nothing refers to it: a push may be about to. */
  readonly grace: number;
}

/** What a collection takes from one repository, and why. */
export interface RepositoryPlan {
  readonly name: string;
  readonly tags: readonly DatedTag[];
  readonly manifests: readonly GoneManifest[];
  readonly blobs: readonly { readonly digest: Digest; readonly size: number }[];
  /** Keys of claims of manifests that are gone. */
  readonly claims: readonly string[];
  /** Blobs that stay. */
  readonly kept: readonly Digest[];
  readonly isEmpty: boolean;
}

export interface GoneManifest {
  readonly digest: Digest;
  readonly reason: "referrer" | "untagged";
  /** Keys of its claims, all of them old. */
  readonly hints: readonly string[];
}

/**
 * Looks at one repository and decides. It changes nothing: the same decision is shown by a plan and carried out by a
 * collection.
 */
export async function planRepository(storage: Storage, name: string, options: PlanOptions): Promise<RepositoryPlan> {
  const view = await RepositoryView.read(storage, name);
  const tags = options.rule === undefined ? [] : await view.expireTags(options.rule, options.now);
  const manifests = await view.expireManifests(options);
  const { claims, used } = await view.countUses(options);
  const blobs: { digest: Digest; size: number }[] = [];
  const kept: Digest[] = [];
  const breath = new Breath();
  for (const digest of view.blobs) {
    await breath.take();
    const value = used.has(digest) ? undefined : await storage.records.get(layout.blob(name, digest));
    const content = value === undefined ? undefined : decodeContent(value);
    if (content !== undefined && options.now - content.time >= options.grace)
      blobs.push({ digest, size: content.size });
    else kept.push(digest);
  }
  return { name, tags, manifests, blobs, claims, kept, isEmpty: view.manifests.size === 0 };
}

/** The names in one repository, from which what a plan removes is taken away step by step. */
class RepositoryView {
  readonly manifests: Set<Digest>;
  readonly blobs: readonly Digest[];
  readonly #storage: Storage;
  readonly #name: string;
  /** Keys of claims, with what is used and by which manifest. */
  readonly #uses: readonly { readonly key: string; readonly used: Digest; readonly by: Digest }[];
  readonly #referrers: readonly { readonly subject: Digest; readonly manifest: Digest }[];
  readonly #goneTags = new Set<string>();

  static async read(storage: Storage, name: string): Promise<RepositoryView> {
    // The claims are read before the manifests: a manifest that is pushed in between is seen, its new claims are young.
    const breath = new Breath();
    const pairs = async (prefix: string) => {
      const found: { key: string; first: Digest; second: Digest }[] = [];
      for await (const key of everyKey(storage.records, prefix)) {
        await breath.take();
        const first = partAfter(key, prefix);
        const second = partAfter(key, `${prefix}${first}/`);
        found.push({ key, first: digestIn(first), second: digestIn(second) });
      }
      return found;
    };
    const digests = async (prefix: string) => {
      const found: Digest[] = [];
      for await (const key of everyKey(storage.records, prefix)) {
        await breath.take();
        found.push(digestIn(partAfter(key, prefix)));
      }
      return found;
    };
    const blobs = await digests(layout.blobs(name));
    const uses = await pairs(layout.allUses(name));
    const referrers = await pairs(layout.allReferrers(name));
    const manifests = await digests(layout.manifests(name));
    return new RepositoryView(storage, name, { blobs, uses, referrers, manifests });
  }

  private constructor(
    storage: Storage,
    name: string,
    found: {
      blobs: Digest[];
      uses: { key: string; first: Digest; second: Digest }[];
      referrers: { first: Digest; second: Digest }[];
      manifests: Digest[];
    },
  ) {
    this.#storage = storage;
    this.#name = name;
    this.blobs = found.blobs;
    this.manifests = new Set(found.manifests);
    this.#uses = found.uses.map(({ key, first, second }) => ({ key, used: first, by: second }));
    this.#referrers = found.referrers.map(({ first, second }) => ({ subject: first, manifest: second }));
  }

  async expireTags(rule: RetentionRule, now: number): Promise<DatedTag[]> {
    const prefix = layout.tags(this.#name);
    const tags: DatedTag[] = [];
    for await (const key of everyKey(this.#storage.records, prefix)) {
      const value = await this.#storage.records.get(key);
      if (value !== undefined) tags.push({ tag: key.slice(prefix.length), ...decodeTag(value) });
    }
    const expired = expiredTags(rule, tags, now);
    for (const { tag } of expired) this.#goneTags.add(tag);
    return expired;
  }

  /** Referrers follow their subject, however long the chain; untagged manifests go by the rule. */
  async expireManifests({ rule, now, grace }: PlanOptions): Promise<RepositoryPlan["manifests"]> {
    const removed: GoneManifest[] = [];
    const removeIfFree = async (digest: Digest, reason: GoneManifest["reason"], before: number) => {
      const hints = await this.#freeWith(digest, before);
      if (hints === undefined) return;
      this.manifests.delete(digest);
      removed.push({ digest, reason, hints });
    };
    const breath = new Breath();
    for (let before = -1; before !== removed.length; ) {
      before = removed.length;
      for (const { subject, manifest } of this.#referrers) {
        await breath.take();
        if (this.manifests.has(subject) || !this.manifests.has(manifest)) continue;
        await removeIfFree(manifest, "referrer", now - grace);
      }
      if (rule?.untaggedOlderThan === undefined) continue;
      const held = this.#heldManifests();
      for (const manifest of [...this.manifests]) {
        await breath.take();
        if (held.has(manifest)) continue;
        await removeIfFree(manifest, "untagged", now - Math.max(grace, rule.untaggedOlderThan));
      }
    }
    return removed;
  }

  /** Manifests that an index lists, and referrers of a subject that stays. */
  #heldManifests(): Set<Digest> {
    const held = new Set<Digest>();
    for (const { used, by } of this.#uses) if (this.manifests.has(by)) held.add(used);
    for (const { subject, manifest } of this.#referrers) if (this.manifests.has(subject)) held.add(manifest);
    return held;
  }

  /** The claims of a manifest that has no tag and was pushed before `before`; undefined for any other. */
  async #freeWith(digest: Digest, before: number): Promise<string[] | undefined> {
    const prefix = layout.tagged(this.#name, digest);
    const hints: string[] = [];
    for await (const key of everyKey(this.#storage.records, prefix)) {
      const tag = partAfter(key, prefix);
      if (!this.#goneTags.has(tag)) {
        if (claimTime(key) >= before) return undefined;
        const value = await this.#storage.records.get(layout.tag(this.#name, tag));
        if (value !== undefined && decodeTag(value).digest === digest) return undefined;
      }
      hints.push(key);
    }
    const manifest = await findManifest(this.#storage, this.#name, digest);
    return manifest !== undefined && manifest.time < before ? hints : undefined;
  }

  /** What is referred to, and the claims of manifests that are gone. A young claim counts: its manifest may be on its way. */
  async countUses({ now, grace }: PlanOptions): Promise<{ claims: string[]; used: Set<Digest> }> {
    const claims: string[] = [];
    const used = new Set<Digest>();
    const breath = new Breath();
    for (const use of this.#uses) {
      await breath.take();
      if (this.manifests.has(use.by) || now - claimTime(use.key) < grace) used.add(use.used);
      else claims.push(use.key);
    }
    return { claims, used };
  }
}
