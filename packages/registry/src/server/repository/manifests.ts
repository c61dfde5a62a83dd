import { SlipwayError } from "@slipway/base";
import { type Descriptor, type Digest, type Index, type Manifest, parseManifest } from "@slipway/oci";
import type { Storage } from "../storage/contents.ts";
import { everyKey, type Put, type Removal } from "../storage/records.ts";
import { EMPTY } from "./blobs.ts";
import { digestIn, layout, partAfter } from "./layout.ts";

/** What is kept of a manifest beside its bytes. */
export interface ManifestFacts {
  readonly mediaType: string;
  /** When it was pushed, in milliseconds since 1970. */
  readonly time: number;
  readonly subject?: Digest;
}

export interface StoredManifest extends ManifestFacts {
  readonly bytes: Uint8Array;
}

/** Where a tag points and since when (milliseconds since 1970). */
export interface Tag {
  readonly digest: Digest;
  readonly time: number;
}

export interface NewManifest {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly document: Manifest | Index;
  readonly tags: readonly string[];
  /** What it refers to need not be here: it can be fetched. */
  readonly isSparse?: boolean;
}

export async function findTag(storage: Storage, name: string, tag: string): Promise<Tag | undefined> {
  const value = await storage.records.get(layout.tag(name, tag));
  return value === undefined ? undefined : decodeTag(value);
}

export async function findManifest(
  storage: Storage,
  name: string,
  digest: Digest,
): Promise<StoredManifest | undefined> {
  const value = await storage.records.get(layout.manifest(name, digest));
  return value === undefined ? undefined : decodeManifest(value);
}

/**
 * Stores a manifest and points tags to it. Returns what it refers to and the repository does not hold: then nothing was
 * stored.
 */
export async function putManifest(storage: Storage, name: string, manifest: NewManifest): Promise<Digest[]> {
  const { digest, bytes, document, tags } = manifest;
  const needed = neededBy(document);
  const facts: ManifestFacts = {
    mediaType: document.mediaType,
    time: Date.now(),
    ...(document.subject && { subject: document.subject.digest }),
  };
  const record: Put[] = [
    { put: layout.known(name), value: EMPTY },
    { put: layout.catalog(name), value: EMPTY },
    { put: layout.manifest(name, digest), value: encodeManifest(facts, bytes) },
  ];
  if (document.subject !== undefined) {
    const value = Buffer.from(JSON.stringify(referrerDescriptor(manifest)));
    record.push({ put: layout.referrer(name, document.subject.digest, digest), value });
  }
  const tag: Tag = { digest, time: facts.time };
  const missing = await storage.records.commit({
    claims: [
      ...[...needed.values()].map((key) => key.claim(name, digest)),
      ...(tags.length === 0 ? [UNTAGGED] : tags).map((text) => layout.taggedAs(name, digest, text)),
    ].map((put) => ({ put, value: EMPTY })),
    require: manifest.isSparse === true ? [] : [...needed.values()].map((key) => key.record(name)),
    steps: [record, tags.map((text) => ({ put: layout.tag(name, text), value: Buffer.from(JSON.stringify(tag)) }))],
  });
  return [...needed].filter(([, key]) => missing.includes(key.record(name))).map(([needs]) => needs);
}

/** Stands for the tag of a manifest that is pushed without one: also that push must be seen by a collection. */
const UNTAGGED = "@";

interface Need {
  claim(name: string, manifest: Digest): string;
  record(name: string): string;
}

/** Everything that must be in the repository before a manifest that refers to it. Subjects may come later. */
function neededBy(document: Manifest | Index): Map<Digest, Need> {
  const isIndex = document.kind === "index";
  const referred = isIndex ? document.manifests : [document.config, ...document.layers].filter(isDistributed);
  return new Map(
    referred.map(({ digest }) => [
      digest,
      {
        claim: (name, manifest) => layout.use(name, digest, manifest),
        record: (name) => (isIndex ? layout.manifest(name, digest) : layout.blob(name, digest)),
      },
    ]),
  );
}

/** Foreign and non-distributable layers are fetched from their own URLs and need not be here. */
function isDistributed(descriptor: Descriptor): boolean {
  return !/\.nondistributable\.|\.foreign\./.test(descriptor.mediaType);
}

/** The descriptor by which a referrer is listed (distribution specification 1.1, "Listing Referrers"). */
function referrerDescriptor({ document, digest, bytes }: NewManifest): Record<string, unknown> {
  const artifactType = document.artifactType ?? (document.kind === "manifest" ? document.config.mediaType : undefined);
  const { mediaType, annotations } = document;
  return { mediaType, digest, size: bytes.length, artifactType, annotations };
}

/** Removes a manifest and the tags that point to it, at once. Its claims are left to the collection. */
export async function removeManifest(storage: Storage, name: string, digest: Digest): Promise<boolean> {
  const { records } = storage;
  const manifest = await findManifest(storage, name, digest);
  if (manifest === undefined) return false;
  const prefix = layout.tagged(name, digest);
  const tags: Removal[] = [];
  const hints: Removal[] = [];
  for await (const key of everyKey(records, prefix)) {
    const tag = layout.tag(name, partAfter(key, prefix));
    hints.push({ remove: key });
    const value = await records.get(tag);
    // A tag that is set anew meanwhile stays.
    if (value !== undefined && decodeTag(value).digest === digest) tags.push({ remove: tag, ifValue: value });
  }
  const { subject } = manifest;
  if (subject !== undefined) hints.push({ remove: layout.referrer(name, subject, digest) });
  await records.commit({ steps: [tags, [{ remove: layout.manifest(name, digest) }], hints] });
  return true;
}

/**
 * Removes a manifest that a collection found to be free, with the claims that it found to be old. Whoever pushes or tags
 * it meanwhile has claimed it before: then it stays, and false is returned.
 */
export async function retireManifest(
  storage: Storage,
  name: string,
  { digest, hints }: { readonly digest: Digest; readonly hints: readonly string[] },
): Promise<boolean> {
  const { records } = storage;
  const manifest = await findManifest(storage, name, digest);
  if (manifest === undefined) return false;
  await records.commit({ steps: [hints.map((remove) => ({ remove }))] });
  if (!(await records.removeUnless(layout.manifest(name, digest), layout.tagged(name, digest)))) return false;
  const { subject } = manifest;
  if (subject !== undefined) await records.commit({ steps: [[{ remove: layout.referrer(name, subject, digest) }]] });
  return true;
}

/** Removes a tag; the manifest stays. With `expected` only while the tag is as it was seen: one that was set anew stays. */
export async function removeTag(storage: Storage, name: string, tag: string, expected?: Tag): Promise<boolean> {
  const { records } = storage;
  const key = layout.tag(name, tag);
  const value = await records.get(key);
  const found = value === undefined ? undefined : decodeTag(value);
  if (found === undefined || value === undefined) return false;
  if (expected !== undefined && (found.digest !== expected.digest || found.time !== expected.time)) return false;
  const hints = await records.list(`${layout.tagged(name, found.digest)}${tag}/`);
  await records.commit({
    steps: [
      [{ remove: key, ...(expected !== undefined && { ifValue: value }) }],
      ...(expected === undefined ? [hints.map((remove) => ({ remove }))] : []),
    ],
  });
  return true;
}

/** Digests of all manifests of a repository. */
export async function* everyManifest(storage: Storage, name: string): AsyncGenerator<Digest> {
  const prefix = layout.manifests(name);
  for await (const key of everyKey(storage.records, prefix)) yield digestIn(partAfter(key, prefix));
}

export function parseStored(manifest: StoredManifest): Manifest | Index {
  return parseManifest(manifest.bytes, manifest.mediaType);
}

export function decodeTag(value: Uint8Array): Tag {
  return JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.length).toString()) as Tag;
}

const NEWLINE = 10;

function encodeManifest(facts: ManifestFacts, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${JSON.stringify(facts)}\n`), bytes]);
}

function decodeManifest(value: Uint8Array): StoredManifest {
  const end = value.indexOf(NEWLINE);
  if (end < 0) throw new SlipwayError("corrupt", "a record of a manifest cannot be read");
  const facts = JSON.parse(Buffer.from(value.buffer, value.byteOffset, end).toString()) as ManifestFacts;
  return { ...facts, bytes: value.subarray(end + 1) };
}
