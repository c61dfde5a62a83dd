/**
 * One collection beside the server, in a thread of the lowest priority: walking over all records must not make a push
 * wait.
 */
import { readlinkSync } from "node:fs";
import { setPriority } from "node:os";
import { errorMessage } from "@slipway/base";
import { openRegistryStorage } from "../storage/open.ts";
import { type Collected, collect } from "./collect.ts";
import type { RetentionRule } from "./retention.ts";

export interface CollectRequest {
  /** As `openRegistryStorage` takes it. */
  readonly place: string;
  readonly rules: readonly RetentionRule[];
  readonly grace: number;
}

export type CollectReply = { readonly done: Collected } | { readonly error: string };

declare const self: Worker;

const LOWEST_PRIORITY = 19;

self.onmessage = async (event: MessageEvent<CollectRequest>) => {
  self.postMessage(await run(event.data));
};

async function run({ place, rules, grace }: CollectRequest): Promise<CollectReply> {
  try {
    yieldToOthers();
    const storage = await openRegistryStorage(place);
    try {
      return { done: await collect(storage, { rules, grace }) };
    } finally {
      await storage.close();
    }
  } catch (error) {
    return { error: errorMessage(error) };
  }
}

/** On Linux a priority belongs to a thread, which is named as `<process>/task/<thread>`. */
function yieldToOthers(): void {
  const thread = Number(readlinkSync("/proc/thread-self").split("/").at(-1));
  if (Number.isSafeInteger(thread) && thread !== process.pid) setPriority(thread, LOWEST_PRIORITY);
}
