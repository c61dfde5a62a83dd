/**
 * The ground that both engines stand on: one loop-mounted, journaled ext4. A root file system without a journal makes
 * creating many files after many were deleted so slow that it hides everything else.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "./measure.ts";

export interface Ground extends AsyncDisposable {
  /** An empty directory of the file system. */
  readonly directory: string;
}

export async function prepareGround(gigabytes: number): Promise<Ground> {
  const base = mkdtempSync(join(tmpdir(), "slipway-bench-"));
  const image = join(base, "disk.img");
  const directory = join(base, "disk");
  mkdirSync(directory);
  await runCommand({ argv: ["truncate", "-s", `${gigabytes}G`, image] });
  await runCommand({ argv: ["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image] });
  await runCommand({ argv: ["mount", "-o", "loop", image, directory] });
  return {
    directory,
    async [Symbol.asyncDispose]() {
      await runCommand({ argv: ["umount", "-R", directory] });
      rmSync(base, { recursive: true });
    },
  };
}
