import { mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { daemonFlags } from "../engines.ts";
import { type Sample, summarize } from "../measure.ts";

const SLIPWAY = resolve(import.meta.dir, "../../dist/slipway");

/** Milliseconds from `exec` of the daemon until `/_ping` answers, with a data root that exists. */
export async function daemonReadiness(directory: string): Promise<Sample> {
  const root = join(directory, "ready");
  mkdirSync(root, { recursive: true });
  const values: number[] = [];
  for (let round = -1; round < 9; round++) {
    const value = await startOnce(root);
    if (round >= 0) values.push(value);
  }
  rmSync(root, { recursive: true });
  return summarize(values);
}

async function startOnce(root: string): Promise<number> {
  const socket = join(root, "sock");
  const began = performance.now();
  const daemon = Bun.spawn([SLIPWAY, "daemon", ...daemonFlags(root, socket)], { stdout: "ignore", stderr: "ignore" });
  try {
    while (!(await answers(socket))) {
      if (performance.now() - began > 20_000) throw new Error("the daemon does not answer");
      await Bun.sleep(1);
    }
    return performance.now() - began;
  } finally {
    daemon.kill("SIGTERM");
    await daemon.exited;
  }
}

async function answers(socket: string): Promise<boolean> {
  try {
    return (await fetch("http://engine/_ping", { unix: socket })).ok;
  } catch {
    return false;
  }
}
