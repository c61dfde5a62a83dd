import { readFileSync } from "node:fs";
import type { ContextStore, Endpoint, TlsMaterial } from "../../client/context-store.ts";
import { parseHost } from "../../client/host.ts";
import { ExitError } from "../../errors.ts";
import { splitCsv } from "../../grammar/values.ts";

const KEYS = ["from", "host", "ca", "cert", "key", "skip-tls-verify"];

/** `key=value,key=value` of `--docker`. Throws an `Error` for the flag's message. */
export function parsePairs(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.flatMap(splitCsv).map((pair) => {
      const at = pair.indexOf("=");
      if (at < 0) throw new Error(`${pair} must be formatted as key=value`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

export interface EndpointChoice {
  readonly endpoint: Endpoint;
  readonly tls: TlsMaterial;
}

/** The endpoint that `--docker` describes. Throws `ExitError`, with `what` before the reason. */
export function readEndpoint(store: ContextStore, texts: readonly string[], what: string): EndpointChoice {
  const pairs = parsePairs(texts);
  const unknown = Object.keys(pairs).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw new ExitError(1, `${what}: unrecognized config key: ${unknown}`);
  if (pairs.from) {
    const { Endpoints } = store.get(pairs.from);
    return { endpoint: Endpoints.docker ?? {}, tls: store.tls(pairs.from) };
  }
  const skip = pairs["skip-tls-verify"] ?? "false";
  if (!/^(1|t|true|0|f|false)$/i.test(skip)) {
    throw new ExitError(1, `${what}: skip-tls-verify: parsing "${skip}": invalid syntax`);
  }
  const host = pairs.host ?? "";
  if (host !== "" && !host.startsWith("ssh://")) checkHost(host, what);
  const files = Object.fromEntries(
    ["ca", "cert", "key"].flatMap((name) => {
      const path = pairs[name];
      return path ? [[`${name}.pem`, readFile(path, what)]] : [];
    }),
  );
  const endpoint = { ...(host !== "" && { Host: host }), SkipTLSVerify: /^(1|t|true)$/i.test(skip) };
  return { endpoint, tls: Object.keys(files).length === 0 ? {} : { docker: files } };
}

function checkHost(host: string, what: string): void {
  try {
    parseHost(host);
  } catch (error) {
    throw new ExitError(1, `${what}: unable to apply docker endpoint options: ${(error as Error).message}`);
  }
}

function readFile(path: string, what: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch {
    throw new ExitError(1, `${what}: open ${path}: no such file or directory`);
  }
}
