import { ownBuffer } from "../arrivals.ts";
import type { LoadJob } from "../workers/stream-jobs.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { FromWorker } from "../workers/worker-protocol.ts";
import type { ArchiveContents } from "./archive-reader.ts";

/** Bytes that may be on their way to the worker: enough that it never waits, little enough to hold in memory. */
const MOST_AHEAD = 8 * 1024 * 1024;

export interface ReadArchiveOptions {
  readonly archive: ReadableStream<Uint8Array>;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((message: Extract<FromWorker, { type: "progress" }>) => void) | undefined;
}

/** Feeds an archive to a worker that takes it apart. */
export async function readArchive(
  pool: WorkerPool,
  job: LoadJob,
  options: ReadArchiveOptions,
): Promise<ArchiveContents> {
  const reader = options.archive.getReader();
  let ahead = 0;
  let failed = false;
  let wakeForChunk = () => {};
  let wakeForRoom = () => {};
  const run = await pool.start(
    job,
    (message) => {
      if (message.type === "progress") options.onProgress?.(message);
      if (message.type !== "taken") return;
      ahead -= message.bytes;
      if (ahead <= MOST_AHEAD) wakeForRoom();
    },
    options.signal,
  );
  const ended = run.result.then(
    () => {},
    () => {
      failed = true;
      wakeForChunk();
      wakeForRoom();
    },
  );
  try {
    while (!failed) {
      // A sender that stands still must not keep a load that has failed.
      const chunk = await new Promise<Uint8Array | undefined>((resolve, reject) => {
        wakeForChunk = () => resolve(undefined);
        reader.read().then(({ value }) => resolve(value), reject);
      });
      if (chunk === undefined || failed) break;
      ahead += chunk.length;
      run.send({ type: "chunk", bytes: chunk }, ownBuffer(chunk));
      while (ahead > MOST_AHEAD && !failed) await new Promise<void>((resolve) => (wakeForRoom = resolve));
    }
    run.send({ type: "end" });
  } catch (error) {
    // The sender went away: the worker is to throw away what it has.
    run.stop();
    await ended;
    throw error;
  }
  try {
    return (await run.result) as ArchiveContents;
  } catch (error) {
    // Nobody wants the rest. Not awaited: a sender that stands still would keep us.
    reader.cancel(error).catch(() => {});
    throw error;
  }
}
