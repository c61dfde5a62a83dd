import { parseSize } from "@slipway/base";
import { splitCsv } from "../grammar/values.ts";
import { splitPair } from "./environment.ts";

export interface Device {
  readonly PathOnHost: string;
  readonly PathInContainer: string;
  readonly CgroupPermissions: string;
}

/** A value of `--device`: `/dev/x[:/dev/y][:rwm]`. Throws an `Error`. */
export function parseDevice(text: string): Device {
  const parts = text.split(":");
  const [source = "", second, third] = parts;
  const isMode = (word: string | undefined) => word !== undefined && /^(?!.*(.).*\1)[rwm]+$/.test(word);
  if (source === "" || parts.length > 3) throw new Error(`invalid device specification: ${text}`);
  if (third !== undefined && !isMode(third)) throw new Error(`invalid device mode: ${third}`);
  const onlyMode = parts.length === 2 && isMode(second);
  return {
    PathOnHost: source,
    PathInContainer: second === undefined || second === "" || onlyMode ? source : second,
    CgroupPermissions: third ?? (onlyMode && second !== undefined ? second : "rwm"),
  };
}

/** Devices of the kind `vendor.com/class=name` are described in files of the host, not by a path. */
export function isCdiDevice(text: string): boolean {
  return /^[a-zA-Z][\w.-]*\/[a-zA-Z][\w-]*=[\w.:-]+$/.test(text);
}

/** A value of `--gpus`: a count, `all`, or `device=0,1`, `capabilities=...`, `driver=...`. */
export function parseGpus(text: string): Record<string, unknown> {
  const request: Record<string, unknown> = {
    Driver: "",
    Count: 0,
    DeviceIDs: null,
    Capabilities: [["gpu"]],
    Options: {},
  };
  for (const field of splitCsv(text)) {
    const [key, value] = field.includes("=") ? splitPair(field) : ["count", field];
    switch (key) {
      case "count":
        if (value !== "all" && !/^\d+$/.test(value)) {
          throw new Error(`count must be an integer: strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`);
        }
        request.Count = value === "all" ? -1 : Number(value);
        break;
      case "driver":
        request.Driver = value;
        break;
      case "device":
        request.DeviceIDs = value.split(",");
        break;
      case "capabilities":
        request.Capabilities = [[...value.split(","), "gpu"]];
        break;
      case "options":
        request.Options = Object.fromEntries(splitCsv(value).map((pair) => splitPair(pair)));
        break;
      default:
        throw new Error(`unexpected key '${key}' in '${field}'`);
    }
  }
  return request;
}

/** `/dev/sda:200` of the `--device-read-*` flags; `unit` says whether the number is a size or a count. */
export function parseThrottle(text: string, unit: "bytes" | "count"): { Path: string; Rate: number } {
  const at = text.lastIndexOf(":");
  const path = text.slice(0, Math.max(at, 0));
  if (at < 0) throw new Error(`bad format: ${text}`);
  if (!path.startsWith("/dev/")) throw new Error(`bad format for device path: ${text}`);
  const amount = text.slice(at + 1);
  if (unit === "count" && !/^\d+$/.test(amount)) {
    throw new Error(
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>. Number must be a positive integer`,
    );
  }
  return { Path: path, Rate: unit === "count" ? Number(amount) : parseSize(amount) };
}

/** `/dev/sda:500` of `--blkio-weight-device`. */
export function parseWeight(text: string): { Path: string; Weight: number } {
  const match = /^(\/dev\/[^:]+):(\d+)$/.exec(text);
  const weight = Number(match?.[2]);
  if (match === null) throw new Error(`bad format: ${text}`);
  if (weight > 0 && (weight < 10 || weight > 1000)) throw new Error(`invalid weight for device: ${text}`);
  return { Path: match[1] ?? "", Weight: weight };
}

const ULIMITS = new Set(
  "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(" "),
);

/** A value of `--ulimit`: `nofile=1024[:2048]`, -1 for no limit. */
export function parseUlimit(text: string): { Name: string; Soft: number; Hard: number } {
  const match = /^([^=]+)=(-?\d+)(?::(-?\d+))?$/.exec(text);
  if (match === null) throw new Error(`invalid ulimit argument: ${text}`);
  const [, name = "", soft = "", hard = soft] = match;
  if (!ULIMITS.has(name.toLowerCase())) throw new Error(`invalid ulimit type: ${name}`);
  const [Soft, Hard] = [Number(soft), Number(hard)];
  if (Hard !== -1 && (Soft === -1 || Soft > Hard)) {
    throw new Error(`ulimit soft limit must be less than or equal to hard limit: ${Soft} > ${Hard}`);
  }
  return { Name: name.toLowerCase(), Soft, Hard };
}

/** Sorted, and the last of each name, as the API takes them. */
export function ulimits(texts: readonly string[]): { Name: string; Soft: number; Hard: number }[] {
  const byName = new Map(texts.map((text) => parseUlimit(text)).map((limit) => [limit.Name, limit]));
  return [...byName.values()].sort((a, b) => (a.Name < b.Name ? -1 : 1));
}

/** A value of `--restart`: `no`, `always`, `unless-stopped`, `on-failure[:retries]`, and our `on-unhealthy[:retries]`. */
export function parseRestart(text: string): { Name: string; MaximumRetryCount: number } {
  if (text === "") return { Name: "no", MaximumRetryCount: 0 };
  const [name = "", count, extra] = text.split(":");
  if (extra !== undefined) throw new Error("invalid restart policy format: a policy has one ':' at most");
  if (count !== undefined && !/^\d+$/.test(count)) {
    throw new Error("invalid restart policy format: maximum retry count must be an integer");
  }
  return { Name: name, MaximumRetryCount: Number(count ?? 0) };
}
