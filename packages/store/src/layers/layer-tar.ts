import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { SlipwayError } from "@slipway/base";
import type { Digest } from "@slipway/oci";
import type { Blobs } from "../blobs.ts";
import type { StorePaths } from "../faces.ts";
import { treePath } from "../paths.ts";
import { expand } from "../workers/decompress.ts";
import type { HashTreeJob } from "../workers/jobs.ts";
import type { StreamJob } from "../workers/stream-jobs.ts";
import type { StreamRun, WorkerPool } from "../workers/worker-pool.ts";
import { decodeRoot, type LayerRow } from "./layer-table.ts";

export interface TarSources {
  readonly paths: StorePaths;
  readonly blobs: Blobs;
  readonly userxattr: boolean;
  readonly pool: WorkerPool;
}

/** The uncompressed tar of a layer from whichever form there is. The stream fails at its end if it is not the diff ID's. */
export function openLayerTar(row: LayerRow, sources: TarSources): ReadableStream<Uint8Array> {
  if (row.tar === row.diffId) return streamBlob(sources.pool, sources.blobs.path(row.diffId), row.diffId);
  if (row.directory !== null && row.canonical === 1) return streamTree(row, row.directory, sources);
  if (row.tar !== null && (row.compression === "gzip" || row.compression === "zstd")) {
    return expandedStream(row, sources.blobs.path(row.tar), row.compression);
  }
  throw new SlipwayError("corrupt", `layer ${row.chainId} has neither a tar nor a tree that one can be made from`);
}

/** Chunks that a worker may have made before they are asked for. */
const AHEAD = 4;

function streamTree(row: LayerRow, directory: string, sources: TarSources): ReadableStream<Uint8Array> {
  const tree = treeJob(row, treePath(sources.paths, directory), sources.userxattr);
  return workerStream(sources.pool, { op: "stream-tree", tree, diffId: row.diffId });
}

/** What a worker needs to make the canonical tar of a layer's tree. */
export function treeJob(row: Pick<LayerRow, "root">, root: string, userxattr: boolean): HashTreeJob {
  return { op: "hash-tree", root, userxattr, ...(row.root !== null && { rootEntry: decodeRoot(row.root) }) };
}

/** A blob, read and verified by a worker: for those that are large. */
export function streamBlob(pool: WorkerPool, path: string, digest: Digest): ReadableStream<Uint8Array> {
  return workerStream(pool, { op: "stream-file", path, digest });
}

function workerStream(pool: WorkerPool, job: Exclude<StreamJob, { op: "load" }>): ReadableStream<Uint8Array> {
  let run: StreamRun | undefined;
  let cancelled = false;
  return new ReadableStream<Uint8Array>(
    {
      async start(controller) {
        run = await pool.start(job, (message) => {
          // What was on its way when the reader left has nobody to go to.
          if (message.type === "chunk" && !cancelled) controller.enqueue(message.bytes);
        });
        for (let ahead = 1; ahead < AHEAD; ahead++) run.pull();
        run.result.then(
          () => {
            if (!cancelled) controller.close();
          },
          (error: unknown) => {
            if (!cancelled) controller.error(error);
          },
        );
      },
      pull() {
        run?.pull();
      },
      cancel() {
        cancelled = true;
        run?.stop();
      },
    },
    { highWaterMark: 1 },
  );
}

function expandedStream(row: LayerRow, path: string, compression: "gzip" | "zstd"): ReadableStream<Uint8Array> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const hash = createHash("sha256");
  const pump = async () => {
    await expand(createReadStream(path), compression, async (bytes) => {
      hash.update(bytes);
      await writer.write(bytes);
    });
    const actual = `sha256:${hash.digest("hex")}`;
    if (actual !== row.diffId) {
      throw new SlipwayError("corrupt", `layer ${row.diffId} is damaged: its tar has the digest ${actual}`);
    }
    await writer.close();
  };
  pump().catch((error: unknown) => writer.abort(error).catch(() => {}));
  return readable;
}
