import { releaseCodePages } from "@slipway/sys";

/** Milliseconds between two looks at what the process has done. */
const LOOK_EVERY = 1000;
/** Microseconds of CPU time between two looks below which the daemon counts as idle. */
const IDLE_CPU = 20_000;

/**
 * Gives memory back once, a second after work has ended: a collector that runs when memory is wanted leaves an idle
 * daemon with the garbage of its last build, and most of the executable's pages are those of a start. The returned function ends it.
 */
export function collectWhenIdle(collect: () => void = giveBack): () => void {
  let last = process.cpuUsage();
  let worked = true;
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(last);
    if (user + system > IDLE_CPU) worked = true;
    else if (worked) {
      worked = false;
      collect();
    }
    last = process.cpuUsage();
  }, LOOK_EVERY);
  timer.unref();
  return () => clearInterval(timer);
}

function giveBack(): void {
  Bun.gc(true);
  releaseCodePages();
}
