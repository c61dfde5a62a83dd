import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { PublishedPort } from "../faces.ts";

export interface PortHolder {
  readonly pid: number;
  readonly name: string;
}

/**
 * The process that listens on a port, for an error message. Looks through `/proc`, which takes some milliseconds; undefined
 * if the kernel does not say.
 */
export function findPortHolder(port: Pick<PublishedPort, "protocol" | "hostPort">): PortHolder | undefined {
  const inodes = listeningInodes(port.protocol, port.hostPort);
  if (inodes.size === 0) return undefined;
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid) || !holdsSocket(pid, inodes)) continue;
    return { pid: Number(pid), name: nameOf(pid) };
  }
  return undefined;
}

function listeningInodes(protocol: string, port: number): Set<string> {
  const inodes = new Set<string>();
  const hexPort = port.toString(16).toUpperCase().padStart(4, "0");
  // TCP_LISTEN; an unconnected UDP socket shows TCP_CLOSE.
  const state = protocol === "tcp" ? "0A" : "07";
  for (const file of [protocol, `${protocol}6`]) {
    for (const line of readTable(`/proc/net/${file}`)) {
      const fields = line.trim().split(/\s+/);
      const [, local, , status] = fields;
      const inode = fields[9];
      if (local?.endsWith(`:${hexPort}`) && status === state && inode !== undefined) inodes.add(`socket:[${inode}]`);
    }
  }
  return inodes;
}

function readTable(path: string): string[] {
  try {
    return readFileSync(path, "latin1").split("\n").slice(1);
  } catch {
    return [];
  }
}

function holdsSocket(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}

function nameOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "?";
  }
}
