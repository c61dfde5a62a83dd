import { lstatSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, SlipwayError } from "@slipway/base";
import type { Device, SpecInput } from "./faces.ts";
import type { DeviceRule, SpecDevice } from "./spec-document.ts";

/** Nothing but what every program expects: zero, null, urandom, random, tty and console. */
const DEFAULT_RULES: readonly DeviceRule[] = [
  { allow: false, access: "rwm" },
  { allow: true, type: "c", major: 1, minor: 5, access: "rwm" },
  { allow: true, type: "c", major: 1, minor: 3, access: "rwm" },
  { allow: true, type: "c", major: 1, minor: 9, access: "rwm" },
  { allow: true, type: "c", major: 1, minor: 8, access: "rwm" },
  { allow: true, type: "c", major: 5, minor: 0, access: "rwm" },
  { allow: true, type: "c", major: 5, minor: 1, access: "rwm" },
];

/** The nodes below /dev and the cgroup rules that let a container use them. Privileged: everything the host has. */
export function specDevices(input: SpecInput): { readonly nodes: SpecDevice[]; readonly rules: readonly DeviceRule[] } {
  if (input.privileged) return { nodes: hostDevices(), rules: [{ allow: true, access: "rwm" }] };
  const pairs = input.devices.flatMap(deviceAndRule);
  return {
    nodes: pairs.map((pair) => pair.node),
    rules: [...DEFAULT_RULES, ...pairs.map((pair) => pair.rule), ...(input.deviceRules ?? []).map(parseDeviceRule)],
  };
}

/** Reads `c 1:3 rwm`. Throws `invalid` as Docker words it. */
export function parseDeviceRule(text: string): DeviceRule {
  const match = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(text);
  if (match === null) throw new SlipwayError("invalid", `invalid device cgroup rule format: '${text}'`);
  const [, type = "a", major = "*", minor = "*", access = "rwm"] = match;
  const number = (name: "major" | "minor", value: string) => (value === "*" ? {} : { [name]: Number(value) });
  return { allow: true, type, ...number("major", major), ...number("minor", minor), access };
}

interface DevicePair {
  readonly node: SpecDevice;
  readonly rule: DeviceRule;
}

/** A device, or each device of a directory. Throws `invalid` with Docker's wording when there is none. */
function deviceAndRule(device: Device): DevicePair[] {
  const fail = (why: string, cause?: unknown): never => {
    throw new SlipwayError(
      "invalid",
      `error gathering device information while adding custom device "${device.pathOnHost}": ${why}`,
      { cause },
    );
  };
  if (!/^[rwm]+$/.test(device.permissions)) return fail(`invalid permissions "${device.permissions}"`);
  let stat: ReturnType<typeof statSync>;
  try {
    stat = statSync(device.pathOnHost);
  } catch (error) {
    return fail(errnoOf(error) === "ENOENT" ? "no such file or directory" : (error as Error).message, error);
  }
  if (stat?.isDirectory()) {
    const found = readdirSync(device.pathOnHost).flatMap((name) => {
      const node = deviceNode(join(device.pathOnHost, name), join(device.pathInContainer, name));
      return node === undefined ? [] : [{ node, rule: ruleOf(node, device.permissions) }];
    });
    return found.length > 0 ? found : fail("not a device node");
  }
  const node = deviceNode(device.pathOnHost, device.pathInContainer, true);
  return node === undefined ? fail("not a device node") : [{ node, rule: ruleOf(node, device.permissions) }];
}

function ruleOf(node: SpecDevice, access: string): DeviceRule {
  return { allow: true, type: node.type, major: node.major, minor: node.minor, access };
}

function deviceNode(host: string, target: string, follow = false): SpecDevice | undefined {
  const stat = follow ? statSync(host) : lstatSync(host);
  if (!stat.isCharacterDevice() && !stat.isBlockDevice()) return undefined;
  const { major, minor } = deviceNumbers(stat.rdev);
  return {
    path: target,
    type: stat.isBlockDevice() ? "b" : "c",
    major,
    minor,
    fileMode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
  };
}

/** Splits glibc's dev_t. */
export function deviceNumbers(rdev: number): { readonly major: number; readonly minor: number } {
  const value = BigInt(rdev);
  return {
    major: Number(((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n)),
    minor: Number((value & 0xffn) | ((value >> 12n) & 0xffffff00n)),
  };
}

/** Directories of /dev that the container gets from mounts of its own. */
const OWN_DIRECTORIES = new Set(["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"]);

function hostDevices(directory = "/dev"): SpecDevice[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return OWN_DIRECTORIES.has(entry.name) ? [] : hostDevices(path);
    if ((!entry.isCharacterDevice() && !entry.isBlockDevice()) || path === "/dev/console") return [];
    try {
      return deviceNode(path, path) ?? [];
    } catch {
      // Devices come and go while we look.
      return [];
    }
  });
}
