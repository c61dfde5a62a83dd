import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import { humanSize } from "@slipway/base";
import { type Finding, fail, ok, warn } from "./finding.ts";

const LOW_SPACE = 5 * 1024 ** 3;
const LOW_FILES = 100_000;
const ROOM = "slipway system trash empty, slipway system prune --no-trash, or move --data-root";

/** The data root: space, files, and whether it can carry the upper directory of an overlay. */
export async function checkDisk(dataRoot: string, isRoot: boolean): Promise<Finding[]> {
  const folder = nearestExisting(dataRoot);
  const { bavail, bsize, ffree, files } = statfsSync(folder);
  const free = bavail * bsize;
  const space =
    free < LOW_SPACE
      ? warn("disk", `only ${humanSize(free)} are free below ${folder}`, ROOM)
      : ok("disk", `${humanSize(free)} are free below ${folder}`);
  // Some file systems make inodes as they are needed, and tell of none.
  const inodes =
    files > 0 && ffree < LOW_FILES ? [warn("inodes", `only ${ffree} files can be made below ${folder}`, ROOM)] : [];
  return [space, ...inodes, ...(isRoot ? [await tryOverlay(folder)] : [])];
}

function nearestExisting(path: string): string {
  return existsSync(path) ? path : nearestExisting(dirname(path));
}

async function tryOverlay(folder: string): Promise<Finding> {
  const root = mkdtempSync(join(folder, ".slipway-doctor-"));
  const [lower = "", upper = "", work = "", target = ""] = ["lower", "upper", "work", "target"].map((name) =>
    join(root, name),
  );
  for (const path of [lower, upper, work, target]) mkdirSync(path);
  const { mountOverlay, unmount } = await import("@slipway/sys");
  try {
    mountOverlay({ lowers: [lower], upper, work, target });
    unmount(target);
    return ok("layers", `${folder} carries overlays`);
  } catch (error) {
    return fail(
      "layers",
      `${folder} cannot carry an overlay: ${(error as Error).message}`,
      "Put --data-root on ext4, xfs (with ftype=1) or btrfs; not on NFS or another overlay.",
    );
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
