import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import {
  errnoOf,
  JsonReader,
  LOG_LEVELS,
  type LogLevel,
  nearest,
  parseDuration,
  parseSize,
  SlipwayError,
} from "@slipway/base";
import { type DaemonAddress, type Protection, parseAddress } from "./address.ts";

export const DEFAULT_DATA_ROOT = "/var/lib/slipway";
export const DEFAULT_EXEC_ROOT = "/run/slipway";
export const DEFAULT_SOCKET = "/run/slipway.sock";
const DEFAULT_PIDFILE = "/run/slipway.pid";
const DEFAULT_CONFIG_FILE = "/etc/slipway/daemon.json";
const DEFAULT_BRIDGE = "slipway0";

/** What the command line gave; absent means: not given. Each has the name of dockerd's flag in camel case. */
export interface DaemonFlags {
  /** `-H`, several. */
  readonly hosts?: readonly string[];
  readonly dataRoot?: string;
  readonly execRoot?: string;
  readonly pidfile?: string;
  readonly configFile?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
  readonly debug?: boolean;
  readonly bridge?: string;
  readonly bip?: string;
  readonly group?: string;
  /** Seconds that a shutdown may take. */
  readonly shutdownTimeout?: number;
  /** Whether containers outlive the daemon. */
  readonly liveRestore?: boolean;
  readonly logDriver?: string;
  readonly logOpts?: Readonly<Record<string, string>>;
  readonly tls?: boolean;
  readonly tlsverify?: boolean;
  readonly tlscacert?: string;
  readonly tlscert?: string;
  readonly tlskey?: string;
  readonly insecureRegistries?: readonly string[];
  readonly registryMirrors?: readonly string[];
  readonly maxConcurrentDownloads?: number;
  readonly maxConcurrentUploads?: number;
  readonly maxDownloadAttempts?: number;
  /** How much of what prunes take can be brought back, as `5gb`; `0` is nothing. */
  readonly trashSize?: string;
  /** For how long, as `24h`. */
  readonly trashTime?: string;
}

/** Paths of PEM files for TCP addresses. */
export interface TlsConfig {
  readonly cert: string;
  readonly key: string;
  /** The authority that signs clients' certificates; without one nobody is asked for a certificate. */
  readonly ca: string | undefined;
}

/** Everything decided. */
export interface DaemonConfig {
  readonly addresses: readonly DaemonAddress[];
  readonly tls: TlsConfig | undefined;
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly pidfile: string;
  readonly configFile: string | undefined;
  readonly logLevel: LogLevel;
  readonly logFormat: "text" | "json";
  readonly bridge: string;
  /** Address of the bridge and its subnet, `172.18.0.1/16`; the network chooses one when it is absent. */
  readonly bip: string | undefined;
  readonly group: string | undefined;
  readonly shutdownTimeout: number;
  readonly liveRestore: boolean;
  readonly log: {
    readonly driver: "json-file" | "local" | "none";
    readonly maxSize: number;
    readonly maxFiles: number;
  };
  readonly registries: {
    readonly insecureRegistries: readonly string[];
    readonly mirrors: readonly string[];
    readonly maxDownloads: number;
    readonly maxUploads: number;
    readonly maxAttempts: number;
  };
  /** Bytes and milliseconds; the engine has defaults. */
  readonly trash: { readonly maxBytes?: number; readonly keepMs?: number };
  /** Tells the names of two engines on one machine apart; empty for the default data root. */
  readonly instance: string;
}

type Kind = "string" | "strings" | "boolean" | "number" | "map";

/** The keys of daemon.json: the flags' names. */
const KEYS: Readonly<Record<string, { readonly flag: keyof DaemonFlags; readonly kind: Kind }>> = {
  hosts: { flag: "hosts", kind: "strings" },
  "data-root": { flag: "dataRoot", kind: "string" },
  "exec-root": { flag: "execRoot", kind: "string" },
  pidfile: { flag: "pidfile", kind: "string" },
  "log-level": { flag: "logLevel", kind: "string" },
  "log-format": { flag: "logFormat", kind: "string" },
  debug: { flag: "debug", kind: "boolean" },
  bridge: { flag: "bridge", kind: "string" },
  bip: { flag: "bip", kind: "string" },
  group: { flag: "group", kind: "string" },
  "shutdown-timeout": { flag: "shutdownTimeout", kind: "number" },
  "live-restore": { flag: "liveRestore", kind: "boolean" },
  "log-driver": { flag: "logDriver", kind: "string" },
  "log-opts": { flag: "logOpts", kind: "map" },
  tls: { flag: "tls", kind: "boolean" },
  tlsverify: { flag: "tlsverify", kind: "boolean" },
  tlscacert: { flag: "tlscacert", kind: "string" },
  tlscert: { flag: "tlscert", kind: "string" },
  tlskey: { flag: "tlskey", kind: "string" },
  "insecure-registries": { flag: "insecureRegistries", kind: "strings" },
  "registry-mirrors": { flag: "registryMirrors", kind: "strings" },
  "max-concurrent-downloads": { flag: "maxConcurrentDownloads", kind: "number" },
  "max-concurrent-uploads": { flag: "maxConcurrentUploads", kind: "number" },
  "max-download-attempts": { flag: "maxDownloadAttempts", kind: "number" },
  "trash-size": { flag: "trashSize", kind: "string" },
  "trash-time": { flag: "trashTime", kind: "string" },
};

/**
 * Flags and configuration file together. A setting may come from one of the two only: with both, nobody could say which
 * one counts. Throws `invalid` that names file, key or flag.
 */
export function resolveConfig(flags: DaemonFlags): DaemonConfig {
  const file = readConfigFile(flags.configFile);
  refuseConflicts(flags, file);
  const given = { ...file.settings, ...withoutAbsent(flags) };
  const dataRoot = absolute("data-root", given.dataRoot ?? DEFAULT_DATA_ROOT);
  const isDefault = dataRoot === DEFAULT_DATA_ROOT;
  const instance = isDefault ? "" : createHash("sha256").update(dataRoot).digest("hex").slice(0, 8);
  // An engine beside the default one gets names of its own without being told.
  const execRoot = absolute(
    "exec-root",
    given.execRoot ?? (isDefault ? DEFAULT_EXEC_ROOT : `/run/slipway-${instance}`),
  );
  const pidfile = given.pidfile ?? (execRoot === DEFAULT_EXEC_ROOT ? DEFAULT_PIDFILE : join(execRoot, "daemon.pid"));
  const hosts = given.hosts === undefined || given.hosts.length === 0 ? [`unix://${DEFAULT_SOCKET}`] : given.hosts;
  const tls = tlsConfig(given);
  const protection: Protection = tls === undefined ? "none" : tls.ca === undefined ? "tls" : "mutual-tls";
  return {
    addresses: hosts.map((host) => parseAddress(host, protection)),
    tls,
    dataRoot,
    execRoot,
    pidfile: absolute("pidfile", pidfile),
    configFile: file.path,
    logLevel: logLevel(given),
    logFormat: logFormat(given.logFormat ?? "text"),
    bridge: bridgeName(given.bridge ?? (isDefault ? DEFAULT_BRIDGE : `slw${instance}`)),
    bip: given.bip,
    group: given.group,
    shutdownTimeout: seconds(given.shutdownTimeout ?? 15),
    liveRestore: given.liveRestore ?? true,
    log: logPolicy(given.logDriver, given.logOpts ?? {}),
    registries: registrySettings(given),
    trash: trashPolicy(given),
    instance,
  };
}

interface ConfigFile {
  readonly path: string | undefined;
  readonly settings: Omit<DaemonFlags, "configFile">;
}

function readConfigFile(named: string | undefined): ConfigFile {
  const path = named === undefined ? DEFAULT_CONFIG_FILE : resolve(named);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT" && named === undefined) return { path: undefined, settings: {} };
    throw new SlipwayError("invalid", `cannot read the configuration file ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const reader = JsonReader.parse(bytes, path);
  const settings = reader.keys().map((key) => readSetting(reader, key, path));
  return { path, settings: Object.fromEntries(settings) };
}

function readSetting(reader: JsonReader, key: string, path: string): [flag: string, value: unknown] {
  const known = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
  if (known === undefined) {
    const near = nearest(key, Object.keys(KEYS));
    throw new SlipwayError(
      "invalid",
      `${path}: the following directives don't match any configuration option: ${key}`,
      {
        hint: near === undefined ? `Known: ${Object.keys(KEYS).join(", ")}.` : `Did you mean '${near}'?`,
      },
    );
  }
  const field = reader.field(key);
  switch (known.kind) {
    case "string":
      return [known.flag, field.string()];
    case "strings":
      return [known.flag, field.strings()];
    case "boolean":
      return [known.flag, field.boolean()];
    case "number":
      return [known.flag, field.number()];
    case "map":
      return [known.flag, field.stringMap()];
  }
}

function refuseConflicts(flags: DaemonFlags, file: ConfigFile): void {
  const conflicts = Object.entries(KEYS).flatMap(([key, { flag }]) => {
    const fromFlag = flags[flag];
    const fromFile = file.settings[flag as keyof ConfigFile["settings"]];
    if (fromFlag === undefined || fromFile === undefined) return [];
    return [`${key}: (from flag: ${JSON.stringify(fromFlag)}, from file: ${JSON.stringify(fromFile)})`];
  });
  if (conflicts.length === 0) return;
  throw new SlipwayError(
    "invalid",
    `unable to configure the daemon with file ${file.path}: the following directives are specified both as a flag and in the configuration file: ${conflicts.join(", ")}`,
    { hint: "Remove each of them from one of the two places." },
  );
}

function withoutAbsent(flags: DaemonFlags): DaemonFlags {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
}

function absolute(name: string, path: string): string {
  if (path === "" || path.includes("\0")) throw new SlipwayError("invalid", `${name} is not a path`);
  return isAbsolute(path) ? resolve(path) : resolve(process.cwd(), path);
}

/** As dockerd has it: `tlsverify` asks for clients' certificates, and implies `tls`; the files have usual names. */
function tlsConfig(given: DaemonFlags): TlsConfig | undefined {
  const verify = given.tlsverify === true;
  if (!verify && given.tls !== true) return undefined;
  const folder = process.env.DOCKER_CERT_PATH || join(process.env.HOME || "/root", ".docker");
  const path = (name: string, value: string | undefined, usual: string) => absolute(name, value ?? join(folder, usual));
  return {
    cert: path("tlscert", given.tlscert, "cert.pem"),
    key: path("tlskey", given.tlskey, "key.pem"),
    ca: verify ? path("tlscacert", given.tlscacert, "ca.pem") : undefined,
  };
}

function logLevel(given: DaemonFlags): LogLevel {
  if (given.debug === true) return "debug";
  const name = given.logLevel ?? "info";
  const level = LOG_LEVELS.find((candidate) => candidate === name);
  if (level !== undefined) return level;
  throw new SlipwayError("invalid", `invalid logging level: ${name}`, { hint: `One of ${LOG_LEVELS.join(", ")}.` });
}

function logFormat(name: string): "text" | "json" {
  if (name === "text" || name === "json") return name;
  throw new SlipwayError("invalid", `invalid log format: ${name}`, { hint: "text or json." });
}

function bridgeName(name: string): string {
  // The kernel's limit for interface names (IFNAMSIZ), and what may stand in an nftables rule unquoted.
  if (/^[a-zA-Z][a-zA-Z0-9_.-]{0,14}$/.test(name)) return name;
  throw new SlipwayError("invalid", `invalid bridge name '${name}'`, {
    hint: "At most 15 letters, digits, '_', '.', '-'.",
  });
}

function seconds(value: number): number {
  if (Number.isSafeInteger(value) && value >= -1) return value;
  throw new SlipwayError("invalid", `invalid shutdown timeout: ${value} is not a number of seconds`);
}

function logPolicy(driver: string | undefined, options: Readonly<Record<string, string>>): DaemonConfig["log"] {
  const name = driver ?? "json-file";
  if (name !== "json-file" && name !== "local" && name !== "none") {
    throw new SlipwayError("invalid", `unknown log driver '${name}'`, { hint: "json-file, local or none." });
  }
  for (const key of Object.keys(options)) {
    if (key !== "max-size" && key !== "max-file") {
      throw new SlipwayError("invalid", `unknown log opt '${key}' for the ${name} log driver`, {
        hint: "max-size and max-file.",
      });
    }
  }
  const maxFiles = Number(options["max-file"] ?? "3");
  if (!Number.isSafeInteger(maxFiles) || maxFiles < 1) {
    throw new SlipwayError("invalid", "the log opt max-file cannot be less than 1");
  }
  const size = options["max-size"] ?? "10m";
  // Docker's -1: without a bound, as its logs are by default.
  return { driver: name, maxSize: size === "-1" ? Number.MAX_SAFE_INTEGER : parseSize(size), maxFiles };
}

function trashPolicy({ trashSize, trashTime }: DaemonFlags): DaemonConfig["trash"] {
  const keepMs = trashTime === undefined ? undefined : parseDuration(trashTime) / 1e6;
  if (keepMs !== undefined && keepMs < 0) {
    throw new SlipwayError("invalid", `invalid trash-time: ${trashTime}`, { hint: "Write a duration such as 24h." });
  }
  return {
    ...(trashSize !== undefined && { maxBytes: parseSize(trashSize) }),
    ...(keepMs !== undefined && { keepMs }),
  };
}

/** Docker's names and defaults for how registries are reached. */
function registrySettings(given: DaemonFlags): DaemonConfig["registries"] {
  const count = (name: string, value: number) => {
    if (Number.isSafeInteger(value) && value >= 1) return value;
    throw new SlipwayError("invalid", `invalid ${name}: ${value} is not a number from 1 on`);
  };
  return {
    insecureRegistries: (given.insecureRegistries ?? []).map(registryAddress),
    mirrors: (given.registryMirrors ?? []).map(mirrorAddress),
    maxDownloads: count("max-concurrent-downloads", given.maxConcurrentDownloads ?? 3),
    maxUploads: count("max-concurrent-uploads", given.maxConcurrentUploads ?? 5),
    maxAttempts: count("max-download-attempts", given.maxDownloadAttempts ?? 5),
  };
}

/** `host[:port]` or a network; Docker also takes addresses here and drops their scheme. */
function registryAddress(text: string): string {
  const address = text.replace(/^https?:\/\//, "").replace(/\/$/, "");
  if (/^[a-zA-Z0-9.:[\]-]+(?:\/\d{1,3})?$/.test(address)) return address;
  throw new SlipwayError("invalid", `insecure registry ${text} is not valid`, {
    hint: "Write HOST, HOST:PORT or a CIDR.",
  });
}

function mirrorAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    url === undefined ||
    !/^https?:$/.test(url.protocol) ||
    url.search !== "" ||
    url.hash !== "" ||
    url.username !== ""
  ) {
    throw new SlipwayError("invalid", `invalid mirror: "${text}"`, { hint: "Write https://HOST[:PORT][/PATH]." });
  }
  return url.href;
}
