import { SlipwayError } from "@slipway/base";
import type { LayerEntry } from "../faces.ts";
import { runJob } from "./jobs.ts";
import { ChunkQueue, isStreamJob, runStreamJob } from "./stream-jobs.ts";
import { type FromWorker, type ToWorker, toWire } from "./worker-protocol.ts";

/** The thread that does the heavy work; worker-pool.ts starts it on demand and lets it go when idle. */
declare const self: {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker, transfer: ArrayBuffer[]): void;
};

let entries: LayerEntry[] = [];
let queue = new ChunkQueue();

self.onmessage = ({ data }) => {
  switch (data.type) {
    case "start":
      entries = [];
      queue = new ChunkQueue();
      if (!(data.job.op === "entries")) void run(data);
      else pending = data;
      return;
    case "entries":
      for (const entry of data.entries) entries.push(entry);
      if (data.last && pending !== undefined) void run(pending);
      return;
    case "chunk":
      queue.push(data.bytes);
      return;
    case "end":
      queue.end();
  }
};

let pending: Extract<ToWorker, { type: "start" }> | undefined;

async function run(start: Extract<ToWorker, { type: "start" }>): Promise<void> {
  pending = undefined;
  const control = new Int32Array(start.control);
  const checkpoint = () => {
    if (Atomics.load(control, 0) !== 0) throw new SlipwayError("cancelled", "cancelled");
  };
  const awaitCredit = () => {
    while (Atomics.load(control, 1) === 0) {
      checkpoint();
      Atomics.wait(control, 1, 0, 1000);
    }
    Atomics.sub(control, 1, 1);
  };
  const send = (message: FromWorker, transfer: ArrayBuffer[] = []) => self.postMessage(message, transfer);
  try {
    const { job } = start;
    const result = isStreamJob(job)
      ? await runStreamJob(job, { queue, checkpoint, awaitCredit, send })
      : await runJob(job, entries, checkpoint);
    entries = [];
    send({ type: "done", result });
  } catch (error) {
    entries = [];
    send({ type: "failed", error: toWire(error) });
  }
}
