import type { ArchiveContents } from "./archive-reader.ts";
import type { LoadJob } from "./stream-jobs.ts";
import type { WorkerPool } from "./worker-pool.ts";
import type { FromWorker } from "./worker-protocol.ts";

/** Bytes that may be on their way to the worker: enough that it never waits, little enough to hold in memory. */
const MOST_AHEAD = 8 * 1024 * 1024;

/** Feeds an archive to a worker that takes it apart. */
export async function readArchive(
  pool: WorkerPool,
  job: LoadJob,
  options: {
    readonly archive: ReadableStream<Uint8Array>;
    readonly signal: AbortSignal | undefined;
    readonly onProgress: ((message: Extract<FromWorker, { type: "progress" }>) => void) | undefined;
  },
): Promise<ArchiveContents> {
  let ahead = 0;
  let failed = false;
  let wake = () => {};
  const run = await pool.start(
    job,
    (message) => {
      if (message.type === "progress") options.onProgress?.(message);
      if (message.type !== "taken") return;
      ahead -= message.bytes;
      wake();
    },
    options.signal,
  );
  const ended = run.result.then(
    () => {},
    () => {
      failed = true;
      wake();
    },
  );
  const reader = options.archive.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || failed) break;
      ahead += value.length;
      run.send({ type: "chunk", bytes: value }, ownBuffer(value));
      while (ahead > MOST_AHEAD && !failed) await new Promise<void>((resolve) => (wake = resolve));
    }
    run.send({ type: "end" });
  } catch (error) {
    // The sender went away: the worker is to throw away what it has.
    run.stop();
    run.send({ type: "chunk", bytes: new Uint8Array(512) });
    run.send({ type: "end" });
    await ended;
    throw error;
  } finally {
    if (failed) await reader.cancel().catch(() => {});
    reader.releaseLock();
  }
  return (await run.result) as ArchiveContents;
}

/** The memory of a chunk that is alone in it can be handed over; otherwise it is copied. */
function ownBuffer(bytes: Uint8Array): ArrayBuffer[] {
  const { buffer } = bytes;
  return buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength ? [buffer] : [];
}
