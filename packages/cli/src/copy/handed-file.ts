import { closeSync, constants, fchmodSync, fchownSync, fstatSync, openSync, readFileSync } from "node:fs";
import { closeFd, O, openAt, openPath, unlinkAt, utimesAt } from "@slipway/sys";
import type { EngineClient } from "../client/engine-client.ts";
import { ApiError } from "../errors.ts";

/** Bytes below which an archive through the socket is as quick. */
const LARGE = 1024 * 1024;

/** Whether the engine may be able to take a descriptor of ours: not through a tunnel, nor on another machine. */
export function takesDescriptors({ host }: EngineClient): boolean {
  return host.kind === "unix" && host.tunnel === undefined;
}

export function isLarge(size: number | undefined): boolean {
  return size !== undefined && size >= LARGE;
}

interface HandedIn {
  readonly source: string;
  readonly follow: boolean;
  /** Path of the call. */
  readonly url: string;
  readonly directory: string;
  readonly name: string;
  readonly keepOwners: boolean;
  readonly onOpen: (fd: number) => void;
}

/**
 * Lets the engine read a large file of ours by its open descriptor. Returns the bytes of the archive that it did not take, or
 * undefined when one must be sent after all: whatever is wrong is said then.
 */
export async function handIn(client: EngineClient, file: HandedIn): Promise<number | undefined> {
  let fd: number;
  try {
    // A pipe would wait for a writer.
    const flags = constants.O_RDONLY | constants.O_NONBLOCK | (file.follow ? 0 : constants.O_NOFOLLOW);
    fd = openSync(file.source, flags);
  } catch {
    return undefined;
  }
  try {
    const { size } = fstatSync(fd);
    if (!fstatSync(fd).isFile() || !isLarge(size)) return undefined;
    file.onOpen(fd);
    const answer = await client.json<{ Bytes: number }>("PUT", file.url, {
      query: { path: file.directory },
      json: { ...named(fd), Name: file.name, CopyUIDGID: file.keepOwners },
    });
    return answer.Bytes;
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  } finally {
    closeSync(fd);
  }
}

interface HandedOut {
  readonly url: string;
  readonly path: string;
  /** Where the file goes, in place of what is there. */
  readonly directory: string;
  readonly name: string;
  readonly keepOwners: boolean;
  readonly onOpen: (fd: number) => void;
}

interface FetchedFile {
  readonly Bytes: number;
  readonly Mode: number;
  readonly Uid: number;
  readonly Gid: number;
  readonly Mtime: string;
}

/** As `handIn`, the other way: the engine writes into a file that we have made. */
export async function handOut(client: EngineClient, file: HandedOut): Promise<number | undefined> {
  let directory: number | undefined;
  let fd: number | undefined;
  try {
    directory = openPath(file.directory, O.DIRECTORY);
    fd = fresh(directory, file.name);
  } catch {
    if (directory !== undefined) closeFd(directory);
    return undefined;
  }
  try {
    file.onOpen(fd);
    const answer = await client.json<FetchedFile>("POST", file.url, { query: { path: file.path }, json: named(fd) });
    // Owner first: chown(2) takes setuid bits away.
    if (file.keepOwners) fchownSync(fd, answer.Uid, answer.Gid);
    fchmodSync(fd, answer.Mode & 0o7777);
    const mtime = BigInt(answer.Mtime);
    utimesAt(directory, file.name, mtime, mtime);
    return answer.Bytes;
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  } finally {
    closeFd(fd);
    closeFd(directory);
  }
}

function fresh(directory: number, name: string): number {
  try {
    unlinkAt(directory, name);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ENOENT") throw error;
  }
  return openAt(directory, name, O.WRONLY | O.CREAT | O.EXCL, 0o600);
}

/** What the engine compares, lest it take a descriptor of a program that only passes our words on. */
function named(fd: number): { readonly Descriptor: number; readonly Device: string; readonly Inode: string } {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return { Descriptor: fd, Device: dev.toString(), Inode: ino.toString() };
}

/** How far the engine is: it moves the position that our descriptor shares with its own. */
export function positionOf(fd: number): number | undefined {
  try {
    return Number(/^pos:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"))?.[1] ?? 0);
  } catch {
    return undefined;
  }
}
