import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import type { DaemonConfig } from "./config.ts";

/** The certificates that the configuration names. Throws `invalid` for a file that cannot be read or is none. */
export function readTls({ tls }: Pick<DaemonConfig, "tls">) {
  if (tls === undefined) return undefined;
  const cert = certificate("tlscert", tls.cert);
  const key = read("tlskey", tls.key);
  if (!key.toString().includes("PRIVATE KEY")) throw notPem("tlskey", tls.key, "no private key is in it");
  return { cert, key, ...(tls.ca !== undefined && { clientCa: certificate("tlscacert", tls.ca) }) };
}

function certificate(flag: string, path: string): Buffer {
  const pem = read(flag, path);
  try {
    new X509Certificate(pem);
  } catch (error) {
    throw notPem(flag, path, (error as Error).message);
  }
  return pem;
}

function read(flag: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new SlipwayError("invalid", `cannot read --${flag} ${path}: ${(error as Error).message}`, { cause: error });
  }
}

function notPem(flag: string, path: string, reason: string): SlipwayError {
  return new SlipwayError("invalid", `--${flag} ${path} is not what it should be: ${reason}`, {
    hint: "A PEM file is expected.",
  });
}
