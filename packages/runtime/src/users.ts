import { SlipwayError } from "@slipway/base";
import type { ProcessUser } from "./faces.ts";

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** The largest ID that the kernel's tools agree on: 2^31 - 1. */
const MAX_ID = 2 ** 31 - 1;

/**
 * The user of a process, from what `USER` or `--user` says (`""`, `name`, `uid`, `name:group`, `uid:gid`) and the
 * image's own `/etc/passwd` and `/etc/group` (empty texts when there are none), by Docker's rules: names are looked for
 * first, numbers need no entry, and supplementary groups come from the group file unless a group was named.
 * `groupAdd` are the `--group-add` values. Throws `invalid` with Docker's wording.
 */
export function resolveUser(
  spec: string,
  passwdText: string,
  groupText: string,
  groupAdd: readonly string[] = [],
): ProcessUser {
  const colon = spec.indexOf(":");
  const userPart = colon < 0 ? spec : spec.slice(0, colon);
  const groupPart = colon < 0 ? "" : spec.slice(colon + 1);
  const user = findUser(userPart, passwdText);
  const groups = groupText === "" ? [] : parseGroup(groupText);
  const gid = groupPart === "" ? user.gid : findGroup(groupPart, groups);
  const memberships =
    groupPart === "" && user.name !== undefined
      ? groups.filter((group) => group.members.includes(user.name ?? "")).map((group) => group.gid)
      : [];
  const added = groupAdd.map((name) => findGroup(name, groups));
  return { uid: user.uid, gid, additionalGids: [...new Set([...memberships, ...added])], home: user.home };
}

function findUser(text: string, passwdText: string): Omit<PasswdEntry, "name"> & { readonly name: string | undefined } {
  const entries = parsePasswd(passwdText);
  const wanted = text === "" ? "0" : text;
  const number = idOf(wanted);
  const entry =
    entries.find((candidate) => candidate.name === wanted) ?? entries.find((candidate) => candidate.uid === number);
  if (entry !== undefined) return entry;
  if (number === undefined) {
    throw new SlipwayError("invalid", `unable to find user ${text}: no matching entries in passwd file`, {
      hint: "Create the user in the image, or name one by number.",
    });
  }
  return { name: undefined, uid: checkedId(number, wanted), gid: 0, home: "/" };
}

function findGroup(text: string, groups: readonly GroupEntry[]): number {
  const number = idOf(text);
  const entry = groups.find((group) => group.name === text) ?? groups.find((group) => group.gid === number);
  if (entry !== undefined) return entry.gid;
  if (number === undefined) {
    throw new SlipwayError("invalid", `unable to find group ${text}: no matching entries in group file`, {
      hint: "Create the group in the image, or name one by number.",
    });
  }
  return checkedId(number, text);
}

function idOf(text: string): number | undefined {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function checkedId(id: number, text: string): number {
  if (id < 0 || id > MAX_ID) {
    throw new SlipwayError("invalid", `uids and gids must be in range 0-${MAX_ID}: ${text}`);
  }
  return id;
}

function parsePasswd(text: string): PasswdEntry[] {
  return fieldsOf(text).flatMap(([name = "", , uid = "", gid = "", , home = ""]) => {
    const [u, g] = [idOf(uid), idOf(gid)];
    return u === undefined || g === undefined || name === "" ? [] : [{ name, uid: u, gid: g, home: home || "/" }];
  });
}

function parseGroup(text: string): GroupEntry[] {
  return fieldsOf(text).flatMap(([name = "", , gid = "", members = ""]) => {
    const id = idOf(gid);
    return id === undefined || name === "" ? [] : [{ name, gid: id, members: members.split(",") }];
  });
}

function fieldsOf(text: string): string[][] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}
