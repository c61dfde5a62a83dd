import type { Variables } from "@slipway/dockerfile";
import { formatPlatform, hostPlatform, type Platform } from "@slipway/oci";

export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Build arguments that need no ARG, and never reach a key or the history unless one declares them. */
export const PROXY_ARGS: readonly string[] = [
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "FTP_PROXY",
  "NO_PROXY",
  "ALL_PROXY",
].flatMap((name) => [name, name.toLowerCase()]);

/** Build arguments that steer the builder itself; it is no mistake to give them without an ARG. */
export const BUILDER_ARGS: ReadonlySet<string> = new Set([
  "BUILDKIT_BUILD_NAME",
  "BUILDKIT_CACHE_MOUNT_NS",
  "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
  "BUILDKIT_INLINE_CACHE",
  "BUILDKIT_MULTI_PLATFORM",
  "BUILDKIT_SANDBOX_HOSTNAME",
  "BUILDKIT_SYNTAX",
  "BUILDKIT_DOCKERFILE_CHECK",
  "BUILDKIT_SBOM_SCAN_CONTEXT",
  "BUILDKIT_SBOM_SCAN_STAGE",
  "SOURCE_DATE_EPOCH",
]);

/** ARGs and ENV of one stage. For words, ENV hides an ARG of the same name, wherever either stands. */
export class StageVariables implements Variables {
  readonly env: Map<string, string>;
  readonly args: Map<string, string | undefined>;

  constructor(
    env: Iterable<readonly [string, string]> = [],
    args: Iterable<readonly [string, string | undefined]> = [],
  ) {
    this.env = new Map(env);
    this.args = new Map(args);
  }

  get(name: string): string | undefined {
    return this.env.get(name) ?? this.args.get(name);
  }

  /** All that is declared: an ARG without a value is empty on purpose. */
  names(): string[] {
    return [...this.env.keys(), ...this.args.keys()];
  }

  clone(): StageVariables {
    return new StageVariables(this.env, this.args);
  }

  /** `NAME=value` of the ARGs that a step sees as environment: those that have a value and no ENV of the same name. */
  stepArgs(): string[] {
    return [...this.args].flatMap(([name, value]) =>
      value === undefined || this.env.has(name) ? [] : [`${name}=${value}`],
    );
  }

  /** All ARGs as the history shows them: with ENV's value where there is one, and empty where there is none. */
  shownArgs(): string[] {
    return [...this.args].map(([name, value]) => `${name}=${this.env.get(name) ?? value ?? ""}`);
  }
}

/** `NAME=value` pairs as an image has them; one without `=` has an empty value. */
export function readEnv(env: readonly string[]): [string, string][] {
  return env.map((pair) => {
    const equals = pair.indexOf("=");
    return equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)];
  });
}

export function writeEnv(env: ReadonlyMap<string, string>): string[] {
  return [...env].map(([name, value]) => `${name}=${value}`);
}

/** The platform ARGs of the global scope. */
export function platformArgs(target: Platform, targetStage: string): Map<string, string> {
  const build = hostPlatform();
  const of = (prefix: string, platform: Platform): [string, string][] => [
    [`${prefix}PLATFORM`, formatPlatform(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}OSVERSION`, platform.osVersion ?? ""],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ""],
  ];
  return new Map([...of("BUILD", build), ...of("TARGET", target), ["TARGETSTAGE", targetStage]]);
}
