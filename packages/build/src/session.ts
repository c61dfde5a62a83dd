import type { Logger } from "@slipway/base";
import type { SourceText } from "@slipway/dockerfile";
import type { Digest } from "@slipway/oci";
import type { Lease, Store } from "@slipway/store";
import type { BuildCache, StepPlace } from "./cache.ts";
import { explainMiss } from "./explain.ts";
import type { BuildEvent, MissReason } from "./faces.ts";
import type { Vertex } from "./graph.ts";
import type { Ingredients } from "./ingredients.ts";
import type { FileManifest } from "./manifest.ts";
import type { CacheMounts } from "./ops/cache-mounts.ts";
import type { StepNetworks } from "./ops/step-networks.ts";
import type { BaseImages, RemoteImages } from "./sources/base-images.ts";
import type { Downloads } from "./sources/downloads.ts";
import type { FileTree } from "./sources/file-tree.ts";
import type { GitCheckouts } from "./sources/git.ts";
import type { HashPool } from "./sources/hash-pool.ts";

/** What all builds of one builder share. */
export interface BuildServices {
  readonly store: Store;
  readonly cache: BuildCache;
  readonly hashes: HashPool;
  readonly networks: StepNetworks;
  readonly cacheMounts: CacheMounts;
  readonly downloads: Downloads;
  readonly gitCheckouts: GitCheckouts;
  readonly remoteImages: RemoteImages | undefined;
  /** Directory for bundles; best on a tmpfs. */
  readonly bundles: string;
  readonly log: Logger;
}

/** One build. */
export interface BuildSession {
  readonly services: BuildServices;
  readonly lease: Lease;
  /** The Dockerfile and its context, by which steps of earlier builds are found. */
  readonly scope: string;
  readonly dockerfile: SourceText;
  readonly bases: BaseImages;
  readonly onEvent: (event: BuildEvent) => void;
  readonly contexts: ReadonlyMap<string, () => Promise<FileTree>>;
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  readonly ssh: ReadonlyMap<string, string>;
  /** Predefined proxy ARGs that the client gave: in the environment of steps, in no key. */
  readonly proxyEnv: readonly string[];
  readonly uses: StepUse[];
  readonly pins: (() => void)[];
}

export interface StepUse {
  readonly place: StepPlace;
  readonly key: Digest;
  readonly cached: boolean;
}

/** Notes that a step of this build is a record, and keeps the record until the build ends. */
export function useRecord(
  session: BuildSession,
  vertex: Vertex,
  use: { readonly key: Digest; readonly cached: boolean },
): void {
  session.pins.push(session.services.cache.pin(use.key));
  session.uses.push({ place: placeOf(session, vertex), ...use });
}

export function placeOf(session: BuildSession, { about }: Vertex): StepPlace {
  return { scope: session.scope, stage: about.stage ?? "", text: about.text, position: about.position };
}

/** Why the cache has nothing for a step. */
export function missReasons(
  session: BuildSession,
  vertex: Vertex,
  now: Ingredients,
  about: {
    readonly manifests: ReadonlyMap<Digest, FileManifest>;
    /** Why the input with this role is another one, if that can be told. */
    readonly parent: (role: string) => MissReason | undefined;
  },
): MissReason[] {
  if (vertex.about.noCache) return [{ kind: "no-cache", subject: vertex.about.text }];
  const { cache } = session.services;
  const previous = cache.previous(placeOf(session, vertex));
  if (previous === undefined) return [{ kind: "first-time", subject: vertex.about.text }];
  if (previous.record === undefined) {
    const changed = previous.text !== vertex.about.text;
    if (changed) return [{ kind: "instruction", subject: now.text, before: previous.text, after: now.text }];
    return [{ kind: "evicted", subject: vertex.about.text }];
  }
  const { manifests, parent } = about;
  const reasons = explainMiss(previous.record.ingredients, now, {
    manifest: (digest) => manifests.get(digest) ?? cache.manifest(digest),
    parent,
  });
  return reasons.length > 0 ? reasons : [{ kind: "first-time", subject: vertex.about.text }];
}
