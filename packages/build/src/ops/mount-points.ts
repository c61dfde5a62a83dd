import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { RootView } from "@slipway/store";

/** A place where something is mounted for the time of a step. */
export interface MountPoint {
  readonly target: string;
  readonly kind: "dir" | "file";
}

/** Places that the container's own mounts bring. */
const KERNEL_PLACES = ["/proc", "/sys", "/dev"];

/**
 * A mount needs something to be mounted on, which the root may not have. Made in the upper directory it would stay in the
 * layer; instead it goes into a directory of its own that lies below all layers. Whatever the image has hides it, and
 * the step's changes are its own and nothing else.
 */
export function makeMountPoints(directory: string, view: RootView, points: readonly MountPoint[]): void {
  for (const place of KERNEL_PLACES) mkdirSync(join(directory, place), { recursive: true });
  for (const { target, kind } of points) {
    const resolved = view.resolve(target);
    if (KERNEL_PLACES.some((place) => resolved === place || resolved.startsWith(`${place}/`))) continue;
    if (view.lstat(resolved) !== undefined) continue;
    if (kind === "dir") {
      mkdirSync(join(directory, resolved), { recursive: true });
      continue;
    }
    mkdirSync(join(directory, dirname(resolved)), { recursive: true });
    writeFileSync(join(directory, resolved), "", { flag: "a" });
  }
}
