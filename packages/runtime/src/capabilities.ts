import { SlipwayError } from "@slipway/base";

/** All capabilities in the kernel's numbering (include/uapi/linux/capability.h), without their `CAP_`. */
const NAMES = [
  "CHOWN",
  "DAC_OVERRIDE",
  "DAC_READ_SEARCH",
  "FOWNER",
  "FSETID",
  "KILL",
  "SETGID",
  "SETUID",
  "SETPCAP",
  "LINUX_IMMUTABLE",
  "NET_BIND_SERVICE",
  "NET_BROADCAST",
  "NET_ADMIN",
  "NET_RAW",
  "IPC_LOCK",
  "IPC_OWNER",
  "SYS_MODULE",
  "SYS_RAWIO",
  "SYS_CHROOT",
  "SYS_PTRACE",
  "SYS_PACCT",
  "SYS_ADMIN",
  "SYS_BOOT",
  "SYS_NICE",
  "SYS_RESOURCE",
  "SYS_TIME",
  "SYS_TTY_CONFIG",
  "MKNOD",
  "LEASE",
  "AUDIT_WRITE",
  "AUDIT_CONTROL",
  "SETFCAP",
  "MAC_OVERRIDE",
  "MAC_ADMIN",
  "SYSLOG",
  "WAKE_ALARM",
  "BLOCK_SUSPEND",
  "AUDIT_READ",
  "PERFMON",
  "BPF",
  "CHECKPOINT_RESTORE",
] as const;

/** All of them, as `CAP_CHOWN`. */
export const ALL_CAPABILITIES: readonly string[] = NAMES.map((name) => `CAP_${name}`);

/** What a container may do unless it asks for more or less; the same set as Docker's. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
];

export interface CapabilityChoice {
  readonly privileged: boolean;
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  /** The bounding set of this process as a bit mask: more cannot be given. */
  readonly available: bigint;
}

/**
 * The capabilities of a container. Names may come without `CAP_` and in any case; `ALL` stands for every one.
 * Throws `invalid` for a name that no kernel knows and for one that this process itself lacks.
 */
export function chooseCapabilities(choice: CapabilityChoice): string[] {
  const has = (name: string) => ((choice.available >> BigInt(ALL_CAPABILITIES.indexOf(name))) & 1n) === 1n;
  // ALL means all that can be given: inside another container not everything is there.
  if (choice.privileged) return ALL_CAPABILITIES.filter(has);
  const add = choice.capAdd.map(normalize);
  const drop = choice.capDrop.map(normalize);
  const base = add.includes("ALL")
    ? ALL_CAPABILITIES.filter(has)
    : drop.includes("ALL")
      ? []
      : DEFAULT_CAPABILITIES.filter(has);
  const named = add.filter((name) => name !== "ALL");
  for (const name of named) {
    if (has(name)) continue;
    throw new SlipwayError("invalid", `capability ${name} cannot be added: this engine does not have it itself`, {
      hint: "Start the engine with that capability, or drop the flag.",
    });
  }
  const chosen = new Set([...base.filter((name) => !drop.includes(name)), ...named]);
  return ALL_CAPABILITIES.filter((name) => chosen.has(name));
}

/** Throws `invalid` for a name that no kernel knows, so that a container is refused before it is made. */
export function checkCapability(name: string): void {
  normalize(name);
}

function normalize(name: string): string {
  const upper = name.toUpperCase();
  if (upper === "ALL") return upper;
  const full = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  if (!ALL_CAPABILITIES.includes(full)) {
    throw new SlipwayError("invalid", `unknown capability: "${full}"`, {
      hint: "capabilities(7) lists the names; they may be written with or without CAP_.",
    });
  }
  return full;
}
