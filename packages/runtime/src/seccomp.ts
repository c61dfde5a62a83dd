import { SlipwayError } from "@slipway/base";
import { ALLOWED_ALWAYS, ALLOWED_ON, ALLOWED_WITH } from "./seccomp-allowed.ts";

interface SeccompArgument {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: string;
}

interface SeccompRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArgument[];
}

/** The `linux.seccomp` part of an OCI runtime specification. */
export interface SeccompProfile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

/** What a profile's conditions are about. */
export interface SeccompTarget {
  /** `x64` or `arm64`, as `process.arch` says it. */
  readonly architecture: string;
  readonly capabilities: readonly string[];
  /** Whether this kernel runs x32 programs; few do, and their part of the filter takes a fifth of a start. */
  readonly x32: boolean;
}

const X32 = "SCMP_ARCH_X32";

/** The native architecture first, then those whose programs the same kernel runs. */
const ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  x64: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", X32],
  arm64: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
};

const ALLOW = "SCMP_ACT_ALLOW";
const EPERM = 1;
const ENOSYS = 38;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const NAMESPACE_FLAGS = 0x7e020000;
const AF_VSOCK = 40;

/** Values of personality(2) that change nothing that matters: PER_LINUX, PER_LINUX32, UNAME26, both, and the query. */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

/**
 * The default profile: everything a program needs, and nothing that reaches past the container's borders (mount, keyctl,
 * module loading, clocks, new namespaces) unless the container holds the capability that the kernel would ask for anyway.
 * The system calls are those of Docker's default profile (docs.docker.com/engine/security/seccomp).
 */
export function defaultSeccompProfile(target: SeccompTarget): SeccompProfile {
  const { architecture, capabilities } = target;
  const names = new Set(ALLOWED_ALWAYS);
  for (const name of ALLOWED_ON[architecture] ?? []) names.add(name);
  for (const [capability, granted] of Object.entries(ALLOWED_WITH)) {
    if (capabilities.includes(capability)) for (const name of granted) names.add(name);
  }
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: EPERM,
    architectures: (ARCHITECTURES[architecture] ?? []).filter((name) => target.x32 || name !== X32),
    syscalls: [
      { names: [...names], action: ALLOW },
      // Virtual sockets reach the hypervisor's host, past every network namespace.
      { names: ["socket"], action: ALLOW, args: [{ index: 0, value: AF_VSOCK, op: "SCMP_CMP_NE" }] },
      ...PERSONALITIES.map((value) => ({
        names: ["personality"],
        action: ALLOW,
        args: [{ index: 0, value, op: "SCMP_CMP_EQ" }],
      })),
      ...(capabilities.includes("CAP_SYS_ADMIN") ? [] : WITHOUT_NEW_NAMESPACES),
    ],
  };
}

const WITHOUT_NEW_NAMESPACES: readonly SeccompRule[] = [
  {
    names: ["clone"],
    action: ALLOW,
    args: [{ index: 0, value: NAMESPACE_FLAGS, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
  },
  // Its flags are behind a pointer, where a filter cannot look; C libraries fall back to clone when told ENOSYS.
  { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS },
];

/**
 * The profile for `--security-opt seccomp=`: `default`, `unconfined` (undefined: no filter), or the JSON of a profile in
 * Docker's format, whose conditions (`includes`, `excludes`, `archMap`) are settled here. Throws `invalid`.
 */
export function resolveSeccomp(choice: string, target: SeccompTarget): SeccompProfile | undefined {
  if (choice === "unconfined") return undefined;
  if (choice === "default" || choice === "builtin" || choice === "") return defaultSeccompProfile(target);
  return parseSeccompProfile(choice, target);
}

interface Conditions {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
}

interface ProfileDocument {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly archMap?: readonly { readonly architecture: string; readonly subArchitectures?: readonly string[] | null }[];
  readonly flags?: readonly string[];
  readonly syscalls?: readonly (SeccompRule & {
    readonly name?: string;
    readonly includes?: Conditions;
    readonly excludes?: Conditions;
  })[];
}

function parseSeccompProfile(text: string, target: SeccompTarget): SeccompProfile {
  const document = readProfile(text);
  const native = ARCHITECTURES[target.architecture]?.[0];
  const mapped = document.archMap?.find((entry) => entry.architecture === native);
  const architectures =
    mapped === undefined ? document.architectures : [mapped.architecture, ...(mapped.subArchitectures ?? [])];
  return {
    defaultAction: document.defaultAction,
    ...(document.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: document.defaultErrnoRet }),
    ...(architectures === undefined ? {} : { architectures }),
    ...(document.flags === undefined ? {} : { flags: document.flags }),
    syscalls: (document.syscalls ?? [])
      .filter((rule) => applies(rule.includes, rule.excludes, target))
      .map((rule) => ({
        names: rule.name === undefined || rule.name === "" ? rule.names : [rule.name],
        action: rule.action,
        ...(rule.errnoRet === undefined ? {} : { errnoRet: rule.errnoRet }),
        ...(rule.args === undefined || rule.args === null ? {} : { args: rule.args }),
      })),
  };
}

function readProfile(text: string): ProfileDocument {
  const fail = (why: string, cause?: unknown): never => {
    throw new SlipwayError("invalid", `Decoding seccomp profile failed: ${why}`, { cause });
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    fail((error as Error).message, error);
  }
  const document = value as ProfileDocument;
  if (typeof document !== "object" || document === null) return fail("it is not an object");
  if (typeof document.defaultAction !== "string") return fail("it names no defaultAction");
  if (document.syscalls !== undefined && !Array.isArray(document.syscalls)) return fail("syscalls is not a list");
  for (const [index, rule] of (document.syscalls ?? []).entries()) {
    if (typeof rule?.action !== "string") return fail(`syscalls[${index}] has no action`);
    if (!Array.isArray(rule.names) && typeof rule.name !== "string") return fail(`syscalls[${index}] has no names`);
  }
  return document;
}

const ARCHITECTURE_NAMES: Readonly<Record<string, readonly string[]>> = {
  x64: ["amd64", "x86", "x32"],
  arm64: ["arm64", "arm"],
};

function applies(includes: Conditions | undefined, excludes: Conditions | undefined, target: SeccompTarget): boolean {
  const arches = ARCHITECTURE_NAMES[target.architecture] ?? [];
  if (includes?.arches?.length && !includes.arches.some((name) => name === arches[0])) return false;
  if (includes?.caps?.length && !includes.caps.every((name) => target.capabilities.includes(name))) return false;
  if (excludes?.arches?.some((name) => name === arches[0])) return false;
  return !excludes?.caps?.some((name) => target.capabilities.includes(name));
}
