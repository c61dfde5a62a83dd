import { existsSync, readFileSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { supportsX32 } from "@slipway/sys";
import { chooseCapabilities } from "./capabilities.ts";
import type { Namespace, SpecInput } from "./faces.ts";
import { checkRlimits } from "./rlimits.ts";
import { resolveSeccomp } from "./seccomp.ts";
import { specDevices } from "./spec-devices.ts";
import type { RuntimeSpec, SpecCapabilities, SpecProcess } from "./spec-document.ts";
import { DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS, specMounts } from "./spec-mounts.ts";
import { specResources } from "./spec-resources.ts";

const OCI_VERSION = "1.0.2";
const INIT_PATH = "/sbin/docker-init";

/**
 * The OCI runtime specification of a container. Throws `invalid` for what the user asked wrongly (a capability, a device,
 * a profile, an rlimit above the host's).
 */
export function buildSpec(input: SpecInput): RuntimeSpec {
  const capabilities = chooseCapabilities({ ...input, available: boundingSet() });
  const { nodes, rules } = specDevices(input);
  const withInit: SpecInput = input.init === undefined ? input : initInput(input, input.init);
  const seccomp = input.privileged
    ? undefined
    : resolveSeccomp(input.seccomp, { architecture: process.arch, capabilities, x32: supportsX32() });
  return {
    ociVersion: OCI_VERSION,
    process: specProcess(withInit, capabilities),
    root: { path: input.rootPath, readonly: input.readonlyRoot },
    ...(input.namespaces.uts === "private" ? { hostname: input.hostname } : {}),
    // runc 1.1 does not know `domainname`; the kernel's name for it is a sysctl of the namespace.
    mounts: specMounts(withInit),
    annotations: input.annotations,
    linux: {
      // First: the supervisor looks for it here.
      cgroupsPath: cgroupsPath(input.id, input.cgroupParent),
      namespaces: specNamespaces(input),
      resources: specResources(input.resources, rules),
      devices: nodes,
      sysctl: specSysctls(input),
      maskedPaths: input.maskedPaths ?? (input.privileged ? [] : DEFAULT_MASKED_PATHS),
      readonlyPaths: input.readonlyPaths ?? (input.privileged ? [] : DEFAULT_READONLY_PATHS),
      ...propagation(input),
      ...(seccomp === undefined ? {} : { seccomp }),
    },
  };
}

/** `/slipway/<id>`, or `<parent>/<id>`: relative to the root of each hierarchy. */
export function cgroupsPath(id: string, parent = "/slipway"): string {
  const absolute = parent.startsWith("/") ? parent : `/${parent}`;
  if (absolute.split("/").includes("..") || absolute.endsWith(".slice")) {
    throw new SlipwayError("invalid", `invalid cgroup parent: ${parent}`, {
      hint: "Give a path below the cgroup root, such as /jobs; systemd slices are not supported.",
    });
  }
  return `${absolute.replace(/\/+$/, "")}/${id}`;
}

export function capabilitySets(names: readonly string[]): SpecCapabilities {
  // Nothing in the inheritable and ambient sets: a program without file capabilities must not gain any by execve.
  return { bounding: names, effective: names, permitted: names };
}

function specProcess(input: SpecInput, capabilities: readonly string[]): SpecProcess {
  const profile = input.privileged ? undefined : input.apparmorProfile;
  return {
    terminal: input.terminal,
    user: {
      uid: input.user.uid,
      gid: input.user.gid,
      ...(input.user.additionalGids.length === 0 ? {} : { additionalGids: input.user.additionalGids }),
    },
    args: input.args,
    env: input.env,
    cwd: input.cwd || "/",
    capabilities: capabilitySets(capabilities),
    rlimits: checkRlimits(input.rlimits),
    noNewPrivileges: input.noNewPrivileges,
    ...(input.oomScoreAdj === undefined ? {} : { oomScoreAdj: input.oomScoreAdj }),
    ...(profile !== undefined && apparmorEnabled() ? { apparmorProfile: profile } : {}),
  };
}

function specNamespaces(input: SpecInput): { type: string; path?: string }[] {
  const kinds: readonly (readonly [type: string, namespace: Namespace])[] = [
    ["mount", "private"],
    ["network", input.namespaces.network],
    ["ipc", input.namespaces.ipc],
    ["pid", input.namespaces.pid],
    ["uts", input.namespaces.uts],
    ["cgroup", cgroupNamespacesExist() ? input.namespaces.cgroup : "host"],
  ];
  return kinds.flatMap(([type, namespace]) => {
    if (namespace === "host") return [];
    return [namespace === "private" ? { type } : { type, path: namespace.path }];
  });
}

function specSysctls(input: SpecInput): Record<string, string> {
  const defaults: Record<string, string> = {};
  if (input.domainname && input.namespaces.uts === "private") defaults["kernel.domainname"] = input.domainname;
  if (input.namespaces.network !== "host") {
    // Ports below 1024 and ping protect the host's network, not one of the container's own.
    defaults["net.ipv4.ip_unprivileged_port_start"] = "0";
    defaults["net.ipv4.ping_group_range"] = "0 2147483647";
  }
  return { ...defaults, ...input.sysctls };
}

/** A mount that is to be shared needs a root that is not private. */
function propagation(input: SpecInput): { rootfsPropagation?: string } {
  const options = new Set(input.mounts.flatMap((mount) => mount.options));
  if (options.has("shared") || options.has("rshared")) return { rootfsPropagation: "rshared" };
  if (options.has("slave") || options.has("rslave")) return { rootfsPropagation: "rslave" };
  return {};
}

function initInput(input: SpecInput, program: string): SpecInput {
  return {
    ...input,
    args: [INIT_PATH, "--", ...input.args],
    mounts: [...input.mounts, { type: "bind", source: program, target: INIT_PATH, options: ["bind", "ro"] }],
  };
}

/** The capabilities that this process could pass on, from CapBnd of proc_pid_status(5). */
export function boundingSet(): bigint {
  const match = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "latin1"));
  return BigInt(`0x${match?.[1] ?? "0"}`);
}

function cgroupNamespacesExist(): boolean {
  return existsSync("/proc/self/ns/cgroup");
}

function apparmorEnabled(): boolean {
  try {
    return readFileSync("/sys/module/apparmor/parameters/enabled", "latin1").startsWith("Y");
  } catch {
    return false;
  }
}
