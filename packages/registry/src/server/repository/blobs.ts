import { SlipwayError } from "@slipway/base";
import type { Digest } from "@slipway/oci";
import type { Place, Storage } from "../storage/contents.ts";
import type { Put } from "../storage/records.ts";
import { layout } from "./layout.ts";

/** What a record says of a blob: where its bytes lie and since when (milliseconds since 1970) the record stands. */
export interface Content extends Place {
  readonly time: number;
}

export const EMPTY = new Uint8Array();

/** The blob as `name` has it; undefined when the repository does not hold it. */
export async function findBlob(storage: Storage, name: string, digest: Digest): Promise<Content | undefined> {
  const value = await storage.records.get(layout.blob(name, digest));
  return value === undefined ? undefined : decodeContent(value);
}

/** The bytes of a blob, whoever holds it. */
export async function findContent(storage: Storage, digest: Digest): Promise<Content | undefined> {
  const value = await storage.records.get(layout.content(digest));
  return value === undefined ? undefined : decodeContent(value);
}

/**
 * Lets `name` hold a blob whose bytes are already here. Tells whether they still were: a collection may have begun to
 * remove them.
 */
export async function holdBlob(storage: Storage, name: string, digest: Digest, content: Content): Promise<boolean> {
  const missing = await storage.records.commit({
    claims: [{ put: layout.holder(digest, name), value: EMPTY }],
    require: [layout.content(digest)],
    steps: [heldBy(name, digest, { ...content, time: Date.now() })],
  });
  return missing.length === 0;
}

/** Records bytes that have just been stored, and lets `name` hold them. */
export async function addBlob(storage: Storage, name: string, digest: Digest, place: Place): Promise<void> {
  const content = { ...place, time: Date.now() };
  await storage.records.commit({
    claims: [{ put: layout.holder(digest, name), value: EMPTY }],
    steps: [[{ put: layout.content(digest), value: encodeContent(content) }], heldBy(name, digest, content)],
  });
}

function heldBy(name: string, digest: Digest, content: Content): Put[] {
  return [
    { put: layout.known(name), value: EMPTY },
    { put: layout.blob(name, digest), value: encodeContent(content) },
  ];
}

/** Takes a blob from `name`. Its bytes are collected when nobody holds them any more. */
export async function dropBlob(storage: Storage, name: string, digest: Digest): Promise<void> {
  await storage.records.commit({ steps: [[{ remove: layout.blob(name, digest) }]] });
}

export function encodeContent(content: Content): Uint8Array {
  const { size, at, pieces, time } = content;
  return Buffer.from(JSON.stringify({ size, at, pieces, time }));
}

export function decodeContent(value: Uint8Array): Content {
  const content = JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.length).toString()) as Content;
  if (typeof content.size !== "number" || typeof content.at !== "string") {
    throw new SlipwayError("corrupt", "a record of a blob cannot be read");
  }
  return content;
}
