import { statfsSync } from "node:fs";

/** By the numbers of statfs(2), as Docker names them (moby's daemon/graphdriver). */
const NAMES: ReadonlyMap<number, string> = new Map([
  [0xef53, "extfs"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x01021994, "tmpfs"],
  [0x794c7630, "overlayfs"],
  [0x2fc12fc1, "zfs"],
  [0xf2f52010, "f2fs"],
  [0x6969, "nfs"],
]);

/** What a directory lies on: `extfs`, `xfs`, or `<unknown>`. */
export function backingFileSystem(path: string): string {
  return NAMES.get(statfsSync(path).type) ?? "<unknown>";
}
