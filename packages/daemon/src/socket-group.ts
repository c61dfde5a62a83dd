import { readFileSync } from "node:fs";
import { SlipwayError } from "@slipway/base";

const DEFAULT_GROUP = "docker";

/**
 * The group that may use the socket: the one that was named, or `docker` if this machine has it, or root's. Who can use the
 * socket is root. Throws `invalid` for a named group that does not exist.
 */
export function socketGroup(name: string | undefined, groupFile = "/etc/group"): number {
  if (name !== undefined && /^\d{1,9}$/.test(name)) return Number(name);
  const gid = lookUp(name ?? DEFAULT_GROUP, groupFile);
  if (gid !== undefined) return gid;
  if (name === undefined) return 0;
  throw new SlipwayError("invalid", `there is no group '${name}' for the socket`, {
    hint: `Make it with: groupadd --system ${name}`,
  });
}

function lookUp(name: string, groupFile: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(groupFile, "utf8");
  } catch {
    return undefined;
  }
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${name}:`));
  const gid = Number(line?.split(":")[2]);
  return line === undefined || !Number.isSafeInteger(gid) ? undefined : gid;
}
