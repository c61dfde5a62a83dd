import { statSync } from "node:fs";
import { errnoOf, SlipwayError } from "@slipway/base";
import type { BlockLimit, Resources } from "./faces.ts";
import { deviceNumbers } from "./spec-devices.ts";
import type { SpecBlockIo, SpecThrottle } from "./spec-document.ts";

/** Weights and rates of block devices; undefined when there are none. Throws `invalid` for what is no block device. */
export function specBlockIo(resources: Resources): SpecBlockIo | undefined {
  const { blkioWeight, blkioWeightDevices: weights = [] } = resources;
  const blockIo: SpecBlockIo = {
    ...(blkioWeight ? { weight: blkioWeight } : {}),
    ...(weights.length === 0
      ? {}
      : { weightDevice: weights.map(({ path, value }) => ({ ...blockDevice(path), weight: value })) }),
    ...throttles("throttleReadBpsDevice", resources.blkioReadBps),
    ...throttles("throttleWriteBpsDevice", resources.blkioWriteBps),
    ...throttles("throttleReadIOPSDevice", resources.blkioReadIops),
    ...throttles("throttleWriteIOPSDevice", resources.blkioWriteIops),
  };
  return Object.keys(blockIo).length === 0 ? undefined : blockIo;
}

function throttles(name: keyof SpecBlockIo, limits: readonly BlockLimit[] = []): { [name: string]: SpecThrottle[] } {
  if (limits.length === 0) return {};
  return { [name]: limits.map(({ path, value }) => ({ ...blockDevice(path), rate: value })) };
}

/** The numbers of a device by its path on the host. */
export function blockDevice(path: string): { readonly major: number; readonly minor: number } {
  let stat: ReturnType<typeof statSync>;
  try {
    stat = statSync(path);
  } catch (error) {
    const why = errnoOf(error) === "ENOENT" ? "no such file or directory" : String(errnoOf(error));
    throw new SlipwayError("invalid", `${path}: ${why}`, { hint: "Name a block device of the host.", cause: error });
  }
  if (stat?.isBlockDevice() !== true) throw new SlipwayError("invalid", `${path}: not a block device`);
  return deviceNumbers(stat.rdev);
}
