import type { DigestAlgorithm } from "@slipway/oci";
import type { RecordStore } from "./records.ts";

/** Where the bytes of a blob lie. A place belongs to one upload and is never written again, whatever its digest. */
export interface Place {
  /** In bytes. */
  readonly size: number;
  /** The name that the store gave it. */
  readonly at: string;
  /** In their order, where the store keeps a blob in pieces. */
  readonly pieces?: readonly Piece[];
}

/** What is known of an upload that goes on. */
export interface UploadStatus {
  readonly id: string;
  /** Bytes that are stored. */
  readonly offset: number;
}

/** The bytes of an upload that is complete, as they were hashed. */
export interface Measured {
  readonly id: string;
  readonly size: number;
  /** Hexadecimal digits. */
  readonly hash: string;
  readonly pieces?: readonly Piece[];
}

/** One of the pieces in which a store keeps bytes. */
export interface Piece {
  readonly name: string;
  readonly size: number;
}

export interface AppendOptions {
  /** Hash to follow the bytes with; the digest that the client will name at the end is not known yet. */
  readonly algorithm: DigestAlgorithm;
  /** Bytes that the upload must hold before: throws `conflict` otherwise (416 on the wire). */
  readonly offset?: number;
  /** Bytes that the body must bring, from its `Content-Length` or range; throws `invalid` when it brings others. */
  readonly length?: number;
  /** The most bytes that the blob may come to; throws `exhausted`. */
  readonly limit?: number;
}

/**
 * The bytes of blobs, and uploads on their way to become blobs. An upload's state lies in the store: where several
 * processes use it, an upload may go from one to another.
 */
export interface ContentStore {
  begin(id: string): Promise<void>;
  /** Undefined when there is no such upload. */
  status(id: string): Promise<UploadStatus | undefined>;
  /** Adds bytes. What arrived before a failure stays stored where that is possible. Throws `not-found`, `conflict`. */
  append(id: string, body: ReadableStream<Uint8Array> | null, options: AppendOptions): Promise<UploadStatus>;
  /** All bytes of an upload, hashed. Throws `not-found`. */
  measure(id: string, algorithm: DigestAlgorithm): Promise<Measured>;
  /** Makes the bytes that were measured durable and gives them a place; `name` is a hint for it. The upload is over. */
  finish(measured: Measured, name: string): Promise<Place>;
  /** Throws nothing when there is no such upload. */
  cancel(id: string): Promise<void>;
  /** Uploads that nobody has touched since `before` (milliseconds since 1970). */
  idleUploads(before: number): AsyncIterable<string>;

  has(place: Place): Promise<boolean>;
  /** Bytes from `start` up to, not including, `end`. */
  read(place: Place, start: number, end: number): Blob | ReadableStream<Uint8Array>;
  remove(place: Pick<Place, "at" | "pieces">): Promise<void>;
  /** Places that are not among those `named` by records and are older than `before`: what a crash left, in no order. */
  strays(named: ReadonlySet<string>, before: number): AsyncIterable<string>;
}

export interface Storage {
  readonly records: RecordStore;
  readonly contents: ContentStore;
  /** Whether blobs are read as files, not as streams. */
  readonly hasFiles: boolean;
  /** The name by which another thread opens the same storage. */
  readonly place?: string;
  close(): Promise<void>;
}
