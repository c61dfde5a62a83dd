import { SlipwayError } from "@slipway/base";

/** A version of Docker's Engine API, `1.55` as 55: the major version has been 1 for ever. */
export type ApiVersion = number;

export const MAX_API_VERSION: ApiVersion = 55;
export const MIN_API_VERSION: ApiVersion = 24;

export function formatApiVersion(version: ApiVersion): string {
  return `1.${version}`;
}

/** Splits `/v1.43/info` into version and path. A path without a version uses the newest. Throws `invalid` as Docker words it. */
export function splitApiVersion(path: string): { readonly version: ApiVersion; readonly path: string } {
  const match = /^\/v(\d{1,4})\.(\d{1,6})(?=\/|$)/.exec(path);
  if (match === null) return { version: MAX_API_VERSION, path };
  const [prefix, major, minor] = match;
  const version = major === "1" ? Number(minor) : Number(major) * 1_000_000;
  const asked = `${major}.${minor}`;
  if (version > MAX_API_VERSION) {
    throw new SlipwayError(
      "invalid",
      `client version ${asked} is too new. Maximum supported API version is ${formatApiVersion(MAX_API_VERSION)}`,
    );
  }
  if (version < MIN_API_VERSION) {
    throw new SlipwayError(
      "invalid",
      `client version ${asked} is too old. Minimum supported API version is ${formatApiVersion(MIN_API_VERSION)}, please upgrade your client to a newer version`,
    );
  }
  return { version, path: path.slice(prefix.length) || "/" };
}
