import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import type { Cgroup } from "./cgroup.ts";
import type { BlockLimit, Resources } from "./faces.ts";
import { blockDevice } from "./spec-block-io.ts";

type RateName = "blkioReadBps" | "blkioWriteBps" | "blkioReadIops" | "blkioWriteIops";

/** The file of version 1 for each rate, and its key in `io.max` of version 2. */
const RATES: readonly (readonly [name: RateName, file: string, key: string])[] = [
  ["blkioReadBps", "blkio.throttle.read_bps_device", "rbps"],
  ["blkioWriteBps", "blkio.throttle.write_bps_device", "wbps"],
  ["blkioReadIops", "blkio.throttle.read_iops_device", "riops"],
  ["blkioWriteIops", "blkio.throttle.write_iops_device", "wiops"],
];

/**
 * Gives a running container other limits of block devices: `runc update` of 1.1 knows only the common weight, and sets
 * the rates of the start again each time. A device that is named no more loses its limit. Throws `invalid` with the
 * kernel's reason.
 */
export function updateBlockIo(cgroup: Cgroup, limits: Resources): void {
  if (cgroup.version === 2) updateUnified(cgroup, limits);
  else {
    for (const [name, file] of RATES) {
      for (const { device, value } of changes(limited(cgroup, file), limits[name])) {
        write(cgroup, file, `${device} ${value}`);
      }
    }
  }
  const file = weightFile(cgroup);
  for (const { device, value } of changes(limited(cgroup, file), limits.blkioWeightDevices)) {
    // 0 takes it away with version 1, "default" with version 2.
    write(cgroup, file, `${device} ${value === 0 && cgroup.version === 2 ? "default" : value}`);
  }
}

/** One line for each device with all of its rates. */
function updateUnified(cgroup: Cgroup, limits: Resources): void {
  const before = limited(cgroup, "io.max");
  const lines = new Map<string, string[]>();
  for (const [name, , key] of RATES) {
    for (const { device, value } of changes(before, limits[name])) {
      lines.set(device, [...(lines.get(device) ?? []), `${key}=${value === 0 ? "max" : value}`]);
    }
  }
  for (const [device, rates] of lines) write(cgroup, "io.max", `${device} ${rates.join(" ")}`);
}

/** The devices that have a line of their own in a file. */
function limited(cgroup: Cgroup, file: string): string[] {
  const lines = (cgroup.read("blkio", file) ?? "").split("\n");
  return lines.flatMap((line) => /^\d+:\d+(?= )/.exec(line)?.[0] ?? []);
}

/** What is to be written: all of the list, and 0 for devices that it does not name. */
function changes(
  before: readonly string[],
  after: readonly BlockLimit[] = [],
): { readonly device: string; readonly value: number }[] {
  const wanted = after.map(({ path, value }) => {
    const { major, minor } = blockDevice(path);
    return { device: `${major}:${minor}`, value };
  });
  const named = new Set(wanted.map(({ device }) => device));
  return [...before.filter((device) => !named.has(device)).map((device) => ({ device, value: 0 })), ...wanted];
}

function weightFile(cgroup: Cgroup): string {
  const names =
    cgroup.version === 2 ? ["io.bfq.weight", "io.weight"] : ["blkio.bfq.weight_device", "blkio.weight_device"];
  return names.find((name) => existsSync(join(cgroup.directory("blkio"), name))) ?? names[1] ?? "";
}

function write(cgroup: Cgroup, file: string, text: string): void {
  try {
    writeFileSync(join(cgroup.directory("blkio"), file), text);
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new SlipwayError("invalid", `cannot write '${text}' to ${file}: ${why}`, {
      details: { reason: `failed to write "${text}" to ${file}: ${why}` },
      cause: error,
    });
  }
}
