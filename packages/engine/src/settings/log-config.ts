import { parseSize, SlipwayError } from "@slipway/base";
import type { LogPolicy } from "@slipway/runtime";
import type { HostConfig } from "../faces.ts";

/** Logs are bounded unless somebody asks for more: three files of ten mebibytes. */
export const DEFAULT_LOG_POLICY: LogPolicy = { driver: "json-file", maxSize: 10 * 1024 * 1024, maxFiles: 3 };

const OPTIONS = [
  "max-size",
  "max-file",
  "compress",
  "labels",
  "labels-regex",
  "env",
  "env-regex",
  "tag",
  "mode",
  "max-buffer-size",
];

/** What the supervisor writes. Throws `invalid` for drivers and options that do not exist. */
export function parseLogConfig(given: HostConfig["LogConfig"], fallback: LogPolicy = DEFAULT_LOG_POLICY): LogPolicy {
  const driver = given?.Type || fallback.driver;
  if (driver !== "json-file" && driver !== "local" && driver !== "none") {
    throw new SlipwayError("invalid", `logger: no log driver named '${driver}' is registered`, {
      hint: "Use json-file, local or none.",
    });
  }
  const options = given?.Config ?? {};
  for (const name of Object.keys(options)) {
    if (!OPTIONS.includes(name))
      throw new SlipwayError("invalid", `unknown log opt '${name}' for ${driver} log driver`);
  }
  const size = options["max-size"];
  const files = options["max-file"];
  const maxFiles = files === undefined ? fallback.maxFiles : Number(files);
  if (!Number.isInteger(maxFiles) || maxFiles < 1) {
    throw new SlipwayError("invalid", `max-file cannot be less than 1: ${files}`);
  }
  // Docker's -1 means: without a bound.
  const maxSize = size === undefined ? fallback.maxSize : size === "-1" ? Number.MAX_SAFE_INTEGER : parseSize(size);
  if (maxSize < 1) throw new SlipwayError("invalid", `max-size must be a positive size: ${size}`);
  return { driver, maxSize, maxFiles };
}
