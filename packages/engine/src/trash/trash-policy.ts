import { statfsSync } from "node:fs";

/** What the trash of prunes may be. Absent is the default. */
export interface TrashPolicy {
  /** Bytes; 0 turns it off. A tenth of the data root's file system unless given, and 10 GB at most. */
  readonly maxBytes?: number;
  /** Milliseconds after which what was pruned is gone; 0 turns it off. A day unless given. */
  readonly keepMs?: number;
}

const DAY_MS = 24 * 3600 * 1000;
const MOST_BYTES = 10e9;
/** With less than this free, or this part of the disk, the trash goes: what is needed now comes before what was thrown away. */
const LOW_BYTES = 1e9;
const LOW_PART = 0.02;

/** Bytes that the trash may hold now: none while the disk is nearly full. */
export function trashRoom(root: string, { maxBytes, keepMs }: TrashPolicy): number {
  if (keepMs === 0 || maxBytes === 0) return 0;
  const { bavail, blocks, bsize } = statfsSync(root);
  if (isLow({ bavail, blocks, bsize })) return 0;
  return maxBytes ?? Math.min(Math.floor((blocks * bsize) / 10), MOST_BYTES);
}

export function keepTime({ keepMs }: TrashPolicy): number {
  return keepMs ?? DAY_MS;
}

/** Whether space is so short that the trash has to go. */
export function isDiskLow(root: string): boolean {
  return isLow(statfsSync(root));
}

function isLow({
  bavail,
  blocks,
  bsize,
}: {
  readonly bavail: number;
  readonly blocks: number;
  readonly bsize: number;
}) {
  return bavail * bsize < Math.min(LOW_BYTES, blocks * bsize * LOW_PART);
}
