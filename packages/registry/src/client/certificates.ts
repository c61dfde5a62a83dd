import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { errnoOf, SlipwayError } from "@slipway/base";

/** What a TLS connection to one host uses besides the system's own authorities. */
export interface HostCertificates {
  readonly ca?: readonly string[];
  readonly cert?: string;
  readonly key?: string;
}

/**
 * Reads a host's certificates from Docker's place: every `*.crt` is an authority, every `*.cert` a client certificate whose
 * key is the `*.key` of the same name. A missing directory means: nothing special. Throws `invalid` for half a pair.
 */
export function readCertificates(directory: string, host: string): HostCertificates {
  const folder = join(directory, host);
  const names = namesIn(folder);
  const read = (name: string) => readFileSync(join(folder, name), "utf8");
  const authorities = names.filter((name) => name.endsWith(".crt")).map(read);
  const [certificate] = names.filter((name) => name.endsWith(".cert"));
  const keys = names.filter((name) => name.endsWith(".key"));
  for (const key of keys) {
    const wanted = `${key.slice(0, -".key".length)}.cert`;
    if (!names.includes(wanted)) throw missing(folder, wanted, key);
  }
  if (certificate !== undefined) {
    const wanted = `${certificate.slice(0, -".cert".length)}.key`;
    if (!keys.includes(wanted)) throw missing(folder, wanted, certificate);
    return { ...withSystem(authorities), cert: read(certificate), key: read(wanted) };
  }
  return withSystem(authorities);
}

/** Authorities that are given replace those of the system, so these are given too, as Docker does it. */
function withSystem(authorities: readonly string[]): HostCertificates {
  return authorities.length === 0 ? {} : { ca: [...rootCertificates, ...authorities] };
}

function missing(folder: string, wanted: string, other: string): SlipwayError {
  return new SlipwayError("invalid", `missing ${wanted} for ${other} in ${folder}`, {
    hint: "A client certificate NAME.cert needs its key NAME.key beside it; authorities are called *.crt.",
  });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return [];
    throw error;
  }
}
