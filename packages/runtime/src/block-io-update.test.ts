import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { updateBlockIo } from "./block-io-update.ts";
import { Cgroup } from "./cgroup.ts";
import { blockDevice, specBlockIo } from "./spec-block-io.ts";

const directory = mkdtempSync(join(tmpdir(), "block-io-"));
afterAll(() => rmSync(directory, { recursive: true }));

const disk = readdirSync("/dev")
  .map((name) => `/dev/${name}`)
  .find((path) => statSync(path, { throwIfNoEntry: false })?.isBlockDevice());
const numbers = () => {
  const { major, minor } = blockDevice(disk ?? "");
  return `${major}:${minor}`;
};

function cgroupOf(name: string, folder: string, files: readonly string[], controllers?: string): [Cgroup, string] {
  const root = join(directory, name);
  const group = join(root, folder, "slipway/c");
  mkdirSync(group, { recursive: true });
  for (const file of files) writeFileSync(join(group, file), "");
  if (controllers !== undefined) writeFileSync(join(root, "cgroup.controllers"), controllers);
  return [new Cgroup("/slipway/c", root), group];
}

test.skipIf(disk === undefined)("version 1 has a file for each rate; what is named no more is set to 0", () => {
  const files = ["blkio.throttle.read_bps_device", "blkio.throttle.write_iops_device"];
  const [cgroup, group] = cgroupOf("legacy", "blkio", files);
  const limit = [{ path: disk ?? "", value: 1048576 }];
  writeFileSync(join(group, "blkio.throttle.write_iops_device"), `${numbers()} 7\n`);
  updateBlockIo(cgroup, { blkioReadBps: limit });
  expect(readFileSync(join(group, "blkio.throttle.read_bps_device"), "utf8")).toBe(`${numbers()} 1048576`);
  expect(readFileSync(join(group, "blkio.throttle.write_iops_device"), "utf8")).toBe(`${numbers()} 0`);
});

test.skipIf(disk === undefined)("version 2 has one file with a key for each rate", () => {
  const [cgroup, group] = cgroupOf("unified", "", ["io.max", "io.weight"], "io\n");
  updateBlockIo(cgroup, { blkioWriteBps: [{ path: disk ?? "", value: 5 }] });
  expect(readFileSync(join(group, "io.max"), "utf8")).toBe(`${numbers()} wbps=5`);
  updateBlockIo(cgroup, {});
  expect(readFileSync(join(group, "io.max"), "utf8")).toBe(`${numbers()} rbps=max wbps=max riops=max wiops=max`);
  updateBlockIo(cgroup, { blkioWeightDevices: [{ path: disk ?? "", value: 200 }] });
  expect(readFileSync(join(group, "io.weight"), "utf8")).toBe(`${numbers()} 200`);
});

test.skipIf(disk === undefined)("a start names devices by their numbers", () => {
  const { major, minor } = blockDevice(disk ?? "");
  const one = (value: number) => [{ path: disk ?? "", value }];
  expect(
    specBlockIo({ blkioWeight: 300, blkioWeightDevices: one(20), blkioReadBps: one(1), blkioWriteIops: one(2) }),
  ).toEqual({
    weight: 300,
    weightDevice: [{ major, minor, weight: 20 }],
    throttleReadBpsDevice: [{ major, minor, rate: 1 }],
    throttleWriteIOPSDevice: [{ major, minor, rate: 2 }],
  });
  expect(specBlockIo({})).toBeUndefined();
});

test("what is no block device is refused by its path", () => {
  expect(() => specBlockIo({ blkioReadBps: [{ path: "/dev/null", value: 1 }] })).toThrow(
    "/dev/null: not a block device",
  );
  expect(() => specBlockIo({ blkioReadBps: [{ path: "/dev/nonesuch", value: 1 }] })).toThrow(
    "/dev/nonesuch: no such file or directory",
  );
});
