import { isError, SlipwayError } from "@slipway/base";
import { familiarName, formatReference, type Platform, type Reference, withDefaultTag } from "@slipway/oci";
import type { Image, Lease, Store } from "@slipway/store";
import type { Credentials } from "./credentials.ts";
import { describeProblem, refusedWith } from "./failures.ts";
import type { RegistryHosts } from "./host.ts";
import { fetchImage, type RemoteImage } from "./image-documents.ts";
import type { KnownBlobs } from "./known-blobs.ts";
import type { LayerDownloads } from "./layer-downloads.ts";
import { layerId, type OnProgress } from "./progress.ts";
import { PullShare } from "./pull-share.ts";
import { Repository } from "./repository.ts";

export interface PullContext {
  readonly store: Store;
  readonly hosts: RegistryHosts;
  readonly downloads: LayerDownloads;
  readonly known: KnownBlobs;
}

export interface PullOptions {
  /** Absent: this machine's. */
  readonly platform?: Platform | undefined;
  readonly credentials?: Credentials | undefined;
  readonly onProgress?: OnProgress;
  readonly signal: AbortSignal;
}

export interface PulledImage {
  readonly image: Image;
  /** Whether the name meant another image before, or none. */
  readonly isNew: boolean;
}

/**
 * Brings an image into the store: manifest and config, then all layers at once, each unpacked while it arrives. Documents
 * are kept byte for byte. What has arrived stays when the rest fails, and is not fetched again.
 */
export async function pullImage(context: PullContext, given: Reference, options: PullOptions): Promise<PulledImage> {
  const reference = withDefaultTag(given);
  const remote = await resolveImage(context, reference, options);
  return await bringImage(context, reference, remote, options);
}

/** The layers of an image whose documents are there, and its record. */
export async function bringImage(
  context: PullContext,
  reference: Reference,
  remote: RemoteImage,
  options: Pick<PullOptions, "onProgress" | "signal">,
): Promise<PulledImage> {
  const { store } = context;
  const report = options.onProgress ?? (() => {});
  report({ id: reference.digest ?? reference.tag ?? "latest", status: `Pulling from ${familiarPath(reference)}` });
  await using lease = store.leases.open(`pull of ${formatReference(reference)}`);
  await fetchLayers(context, remote, { lease, report, signal: options.signal });
  for (const { digest } of remote.manifest.layers) context.known.seen(digest, reference.domain, reference.path);
  const before = store.images.find(formatReference(reference));
  const image = await record(store, reference, remote, lease, options.signal);
  report({ status: `Digest: ${remote.target.digest}` });
  return { image, isNew: before?.id !== image.id || before.target.digest !== image.target.digest };
}

/** Manifest and config of what a reference means, from the first mirror that has it or from the registry itself. */
export async function resolveImage(
  { hosts }: PullContext,
  reference: Reference,
  options: PullOptions,
): Promise<RemoteImage> {
  const { platform, signal } = options;
  for await (const repository of repositoriesOf(hosts, reference, options)) {
    try {
      return await fetchImage(repository, reference, { platform, signal });
    } catch (error) {
      signal.throwIfAborted();
      if (repository.host.base.host === mirrorlessHost(reference) || !mayBeElsewhere(error))
        throw explained(error, reference);
    }
  }
  throw new SlipwayError("internal", `no registry for ${formatReference(reference)}`);
}

function mirrorlessHost({ domain }: Reference): string {
  return domain === "docker.io" ? "registry-1.docker.io" : domain;
}

/** Where a reference may be found, in the order in which to ask: mirrors first, the registry itself last. */
async function* repositoriesOf(
  hosts: RegistryHosts,
  { domain, path }: Reference,
  { credentials, signal }: PullOptions,
): AsyncGenerator<Repository> {
  for (const mirror of domain === "docker.io" ? hosts.settings.mirrors : []) {
    const host = await hosts.openMirror(mirror, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      if (mayBeElsewhere(error)) return undefined;
      throw error;
    });
    if (host !== undefined) yield new Repository(host, path);
  }
  yield new Repository(await hosts.open(domain, credentials, signal), path);
}

/** A mirror that does not have it, refuses it or does not work is no reason not to ask the registry itself. */
function mayBeElsewhere(error: unknown): boolean {
  return ["not-found", "unavailable", "unauthorized", "forbidden"].some((code) => isError(error, code as "not-found"));
}

async function fetchLayers(
  { store, downloads }: PullContext,
  { repository, manifest, config }: RemoteImage,
  { lease, report, signal }: { readonly lease: Lease; readonly report: OnProgress; readonly signal: AbortSignal },
): Promise<void> {
  const stop = new AbortController();
  const all = AbortSignal.any([signal, stop.signal]);
  const missing = manifest.layers.filter((_, index) => {
    const diffId = config.diffIds[index];
    return diffId !== undefined && !store.arrivals.has(diffId, lease);
  });
  const share = new PullShare(missing.reduce((sum, { size }) => sum + size, 0));
  const work = manifest.layers.map(async (descriptor, index) => {
    const diffId = config.diffIds[index];
    if (diffId === undefined) throw new SlipwayError("internal", `layer ${layerId(descriptor.digest)} has no diff ID`);
    await downloads.fetch({ descriptor, diffId, repository, share, lease }, report, all);
  });
  try {
    await Promise.all(work);
  } catch (error) {
    // What the others have so far stays; the first failure is the one to tell of.
    stop.abort(error);
    await Promise.allSettled(work);
    throw error;
  }
}

async function record(
  store: Store,
  reference: Reference,
  remote: RemoteImage,
  lease: Lease,
  signal: AbortSignal,
): Promise<Image> {
  const { config, configBytes, manifestBytes, indexBytes, target } = remote;
  await store.arrivals.stack(config.diffIds, lease, signal);
  if (indexBytes !== undefined) await store.blobs.put(indexBytes, lease);
  const { domain, path, tag } = reference;
  // By digest, the image gets no tag, as with Docker, also if one was written.
  const names: Reference[] = reference.digest === undefined && tag !== undefined ? [{ domain, path, tag }] : [];
  names.push({ domain, path, digest: target.digest });
  const image = await store.images.put({ config, configBytes, manifestBytes, target, names, lease });
  store.arrivals.settle(config.diffIds);
  return image;
}

/** The repository as Docker shows it on the first line: without the registry. */
function familiarPath(reference: Reference): string {
  return reference.domain === "docker.io" ? reference.path : familiarName(reference).slice(reference.domain.length + 1);
}

/** Refusals in Docker's words, which tools look for. */
export function explained(error: unknown, reference: Reference): unknown {
  const refused = refusedWith(error);
  if (refused === undefined || !(error instanceof SlipwayError)) return error;
  const name = familiarName(reference);
  const { status, codes } = refused;
  const shown = familiarWithTag(reference);
  const again = (message: string, hint?: string) =>
    new SlipwayError("not-found", `${message}: ${error.message}`, {
      cause: error,
      details: error.details,
      ...(hint && { hint }),
    });
  if (status === 401 || status === 403 || codes.includes("DENIED") || codes.includes("UNAUTHORIZED")) {
    const message = `pull access denied for ${name}, repository does not exist or may require 'docker login'`;
    // As in Docker: who may not see a repository is not told whether there is one.
    return again(message, `Log in with: slipway login ${reference.domain}`);
  }
  if (codes.includes("NAME_UNKNOWN")) return again(`repository ${name} not found`);
  if (status === 404) {
    const cause =
      codes.length > 0 ? error.message : describeProblem({ code: "MANIFEST_UNKNOWN", message: "manifest unknown" });
    return new SlipwayError("not-found", `manifest for ${shown} not found: ${cause}`, {
      cause: error,
      details: error.details,
    });
  }
  return error;
}

function familiarWithTag(reference: Reference): string {
  const { tag, digest } = reference;
  return `${familiarName(reference)}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}
