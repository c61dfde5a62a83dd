import { readFileSync, statSync } from "node:fs";
import { parseIp } from "../addresses/ip-block.ts";
import { parseResolvConf } from "../container-files.ts";
import type { NameServer } from "./dns-upstream.ts";

const PATH = "/etc/resolv.conf";
/** Milliseconds between two looks at the file: machines move between networks. */
const INTERVAL = 1000;

/**
 * The servers that the host itself asks, also those on its loopback: questions are forwarded from the host, so a stub of
 * systemd-resolved there with all its rules about domains is the best one to ask.
 */
export function watchHostNameservers(path = PATH): () => readonly NameServer[] {
  let [checked, changed] = [Number.NEGATIVE_INFINITY, -1];
  let servers: readonly NameServer[] = [];
  return () => {
    const now = performance.now();
    if (now - checked < INTERVAL) return servers;
    checked = now;
    try {
      const { mtimeMs, ino } = statSync(path);
      if (changed !== mtimeMs + ino) servers = parseServers(parseResolvConf(readFileSync(path, "utf8")).nameservers);
      changed = mtimeMs + ino;
    } catch {
      // Between two versions of the file, or none at all: what was known goes on.
    }
    return servers;
  };
}

/** Addresses only: a name would have to be resolved by whom? A zone (`fe80::1%eth0`) is for this host to say. */
export function parseServers(addresses: readonly string[]): NameServer[] {
  return addresses
    .filter((host) => parseIp(host.split("%")[0] ?? "") !== undefined)
    .map((host) => ({ host, port: 53 }));
}
