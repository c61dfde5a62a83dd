import { SlipwayError } from "@slipway/base";
import { type HashFailure, hashFiles } from "./hash-files.ts";
import type { HashReply, HashRequest } from "./hash-worker.ts";

/** So little is hashed in place: a worker's answer would take longer. */
const INLINE_FILES = 16;
const INLINE_BYTES = 512 * 1024;
const WORKERS = 2;
const BATCH_FILES = 256;
const BATCH_BYTES = 16 * 1024 * 1024;

export interface FileToHash {
  readonly path: string;
  readonly size: number;
}

interface Job {
  readonly request: HashRequest;
  readonly resolve: (digests: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

/** Hashes files on a few threads, which start when first needed and do not keep the process alive. */
export class HashPool {
  readonly #workers: Worker[] = [];
  readonly #jobs = new Map<number, Job>();
  #next = 0;

  /** sha256 in hex, in the files' order. Throws `conflict` when a file has vanished. */
  async digests(root: string, files: readonly FileToHash[], signal: AbortSignal): Promise<string[]> {
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    if (files.length <= INLINE_FILES && bytes <= INLINE_BYTES) {
      const result = hashFiles(
        root,
        files.map(({ path }) => path),
      );
      if (result instanceof Uint8Array) return hexDigests(result);
      throw hashError(root, result);
    }
    signal.throwIfAborted();
    const batches = await Promise.all(batchesOf(files).map((paths) => this.#hash(root, paths)));
    signal.throwIfAborted();
    return batches.flatMap(hexDigests);
  }

  close(): void {
    for (const worker of this.#workers) worker.terminate();
    this.#workers.length = 0;
  }

  #hash(root: string, paths: readonly string[]): Promise<Uint8Array> {
    const id = this.#next++;
    const worker = this.#worker(id % WORKERS);
    return new Promise((resolve, reject) => {
      this.#jobs.set(id, { request: { id, root, paths }, resolve, reject });
      worker.postMessage({ id, root, paths } satisfies HashRequest);
    });
  }

  #worker(index: number): Worker {
    const known = this.#workers[index];
    if (known !== undefined) return known;
    const worker = new Worker(new URL("./hash-worker.ts", import.meta.url));
    worker.unref();
    worker.onmessage = (event: MessageEvent<HashReply>) => this.#answer(event.data);
    worker.onerror = (event) => this.#fail(new SlipwayError("internal", `the hashing thread failed: ${event.message}`));
    this.#workers[index] = worker;
    return worker;
  }

  #answer(reply: HashReply): void {
    const job = this.#jobs.get(reply.id);
    this.#jobs.delete(reply.id);
    if ("digests" in reply) job?.resolve(reply.digests);
    else job?.reject(hashError(job.request.root, reply.error));
  }

  #fail(error: Error): void {
    for (const job of this.#jobs.values()) job.reject(error);
    this.#jobs.clear();
  }
}

function batchesOf(files: readonly FileToHash[]): string[][] {
  const batches: string[][] = [];
  let [current, bytes] = [[] as string[], 0];
  for (const { path, size } of files) {
    current.push(path);
    bytes += size;
    if (current.length < BATCH_FILES && bytes < BATCH_BYTES) continue;
    batches.push(current);
    [current, bytes] = [[], 0];
  }
  if (current.length > 0) batches.push(current);
  return batches;
}

function hexDigests(bytes: Uint8Array): string[] {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
  const digests: string[] = [];
  for (let at = 0; at < hex.length; at += 64) digests.push(hex.slice(at, at + 64));
  return digests;
}

function hashError(root: string, { message, path, errno }: HashFailure): SlipwayError {
  if (errno === "EACCES" || errno === "EPERM")
    return new SlipwayError("forbidden", `cannot read ${root}/${path}: ${message}`);
  return new SlipwayError("conflict", `${root}/${path} changed while the build was reading it: ${message}`, {
    hint: "Build again when nothing writes to the context any more, or add the file to .dockerignore.",
  });
}
