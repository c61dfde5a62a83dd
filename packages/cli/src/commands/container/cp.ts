import { lstatSync, realpathSync, statSync } from "node:fs";
import { posix, resolve } from "node:path";
import { humanSize } from "@slipway/base";
import type { EngineClient } from "../../client/engine-client.ts";
import { baseName, type End, type Plan, parsePlace, planCopy, wantsDirectory } from "../../copy/copy-place.ts";
import { ApiError, ExitError } from "../../errors.ts";
import { command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { asStream } from "../../input-file.ts";
import { Meter } from "../../output/meter.ts";
import type { Session } from "../../session.ts";
import { segment } from "../each.ts";

interface Copy {
  readonly session: Session;
  readonly container: string;
  readonly source: string;
  readonly target: string;
  readonly archive: boolean;
  readonly follow: boolean;
}

export const cp = command({
  usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tslipway cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
  args: exactly(2),
  flags: {
    archive: flag.bool("Keep the owners of the files", { short: "a" }),
    "follow-link": flag.bool("Copy what a link in SRC_PATH leads to", { short: "L" }),
    quiet: flag.bool("Say nothing; so when stdout is no terminal", { short: "q" }),
  },
  examples: [
    ["slipway cp web:/etc/nginx/nginx.conf .", "A file out of a container"],
    ["slipway cp site/. web:/usr/share/nginx/html", "A folder's content into one"],
    ["slipway cp web:/var/log - | tar t", "As an archive on stdout"],
  ],
  async run({ flags, given, args: [from = "", to = ""], session }) {
    const [source, target] = [parsePlace(from), parsePlace(to)];
    if (source.path === "") throw new ExitError(1, "source can not be empty");
    if (target.path === "") throw new ExitError(1, "destination can not be empty");
    if (source.container !== undefined && target.container !== undefined) {
      throw new ExitError(1, "copying between containers is not supported");
    }
    const container = source.container ?? target.container;
    if (container === undefined) throw new ExitError(1, "must specify at least one container source");
    const copy: Copy = {
      ...{ session, container, source: source.path, target: target.path },
      ...{ archive: flags.archive, follow: flags["follow-link"] },
    };
    const bytes = await (source.container === undefined ? copyIn(copy) : copyOut(copy));
    const quiet = given("quiet") ? flags.quiet : !session.io.stdout.isTerminal();
    if (bytes !== undefined && !quiet) {
      const where = target.container === undefined ? target.path : `${container}:${target.path}`;
      session.io.stderr.write(`Successfully copied ${humanSize(bytes)} to ${where}\n`);
    }
    return 0;
  },
});

interface RemoteStat {
  readonly name: string;
  readonly mode: number;
  readonly size?: number;
  readonly linkTarget: string;
}

const GO_DIRECTORY = 2 ** 31;
/** os.FileMode: irregular, character device, socket, pipe, device, link, directory. */
const GO_TYPES = [19, 21, 24, 25, 26, 27, 31];

function isDirectory({ mode }: RemoteStat): boolean {
  return mode >= GO_DIRECTORY;
}

function isLink({ mode }: RemoteStat): boolean {
  return Math.floor(mode / 2 ** 27) % 2 === 1;
}

/** A plain file: no bit of Go's types. */
function isPlain({ mode }: RemoteStat): boolean {
  return GO_TYPES.every((bit) => Math.floor(mode / 2 ** bit) % 2 === 0);
}

function readStat(response: Response): RemoteStat {
  const text = response.headers.get("x-docker-container-path-stat");
  if (text === null) throw new ExitError(1, "the engine's answer says nothing about the path");
  return JSON.parse(Buffer.from(text, "base64").toString()) as RemoteStat;
}

async function stat(client: EngineClient, container: string, path: string): Promise<RemoteStat> {
  const url = `/containers/${segment(container)}/archive`;
  try {
    return readStat(await client.request("HEAD", url, { query: { path } }));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // The answer to HEAD has no body: the words of a refusal come with a GET.
    const response = await client.request("GET", url, { query: { path } });
    await response.body?.cancel();
    return readStat(response);
  }
}

/** Returns the bytes of the archive, or undefined when it went to stdout. */
async function copyOut({ session, container, source, target, archive, follow }: Copy): Promise<number | undefined> {
  const client = await session.client();
  let path = source;
  let name: string | undefined;
  if (follow) {
    const found = await stat(client, container, source);
    if (isLink(found)) {
      path = found.linkTarget;
      // Under the name that was asked for, not that of what it leads to.
      name = baseName(source);
    }
  }
  if (target === "-" && session.io.stdout.isTerminal()) {
    throw new ExitError(1, "cowardly refusing to write an archive to a terminal. Redirect it");
  }
  const askedFor = (found: RemoteStat) => {
    const asked = { path: name ?? posix.normalize(`/${path}`), exists: true, isDirectory: isDirectory(found) };
    if (name === undefined && /(^|\/)\.$/.test(path)) asked.path = `${asked.path.replace(/\/$/, "")}/.`;
    return asked;
  };
  if (target !== "-") {
    const plan = (found: RemoteStat) => planCopy(askedFor(found), localEnd(session, target));
    const bytes = await fetchPlain(session, { container, path, plan, keepOwners: archive });
    if (bytes !== undefined) return bytes;
  }
  const response = await client.request("GET", `/containers/${segment(container)}/archive`, { query: { path } });
  if (target === "-") {
    await session.io.stdout.writeBody(response);
    return undefined;
  }
  const found = readStat(response);
  const plan = planCopy(askedFor(found), localEnd(session, target));
  using meter = new Meter(session.io, { doing: "Copying", total: isDirectory(found) ? undefined : found.size });
  return await unpack(response, { ...plan, keepOwners: archive }, meter);
}

interface PlainFile {
  readonly container: string;
  readonly path: string;
  readonly plan: (found: RemoteStat) => Plan;
  readonly keepOwners: boolean;
}

/** A large file that the engine writes to its place by itself; undefined when an archive must come after all. */
async function fetchPlain(session: Session, file: PlainFile): Promise<number | undefined> {
  const { container, path, plan, keepOwners } = file;
  const client = await session.client();
  const { takesDescriptors, isLarge, handOut, positionOf } = await import("../../copy/handed-file.ts");
  if (!takesDescriptors(client)) return undefined;
  const found = await stat(client, container, path);
  if (!isPlain(found) || !isLarge(found.size)) return undefined;
  let opened: number | undefined;
  const current = () => (opened === undefined ? undefined : positionOf(opened));
  using _meter = new Meter(session.io, { doing: "Copying", total: found.size, current });
  const onOpen = (fd: number): void => {
    opened = fd;
  };
  return await handOut(client, { ...plan(found), ...{ url: fileUrl(container), path, keepOwners, onOpen } });
}

function fileUrl(container: string): string {
  return `/slipway/containers/${segment(container)}/file`;
}

/** What lies at a path of this machine, links followed. */
function localEnd(session: Session, path: string): End {
  const absolute = resolve(session.io.cwd(), path);
  const found = statSync(absolute, { throwIfNoEntry: false });
  const suffix = wantsDirectory(path) && !absolute.endsWith("/") ? "/" : "";
  if (found === undefined) return { path: absolute + suffix, exists: false, isDirectory: false };
  return { path: realpathSync(absolute) + suffix, exists: true, isDirectory: found.isDirectory() };
}

async function unpack(
  response: Response,
  plan: { readonly directory: string; readonly name: string; readonly keepOwners: boolean },
  meter: Meter,
): Promise<number> {
  if (response.body === null) return 0;
  const { readTar } = await import("@slipway/tar");
  const { TreeWriter } = await import("../../build/tree-writer.ts");
  if (statSync(plan.directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new ExitError(1, `invalid output path: directory "${plan.directory}" does not exist`);
  }
  // One that is copied to a new name does not exist yet: its entries begin with it, so it is made by the first.
  let bytes = 0;
  const body = response.body;
  const counted = async function* () {
    for await (const chunk of body) {
      bytes += chunk.length;
      meter.add(chunk.length);
      yield chunk;
    }
  };
  const writer = new TreeWriter(plan.directory, plan);
  const rename = (name: string): string => {
    const clean = name.replace(/^\/+/, "");
    if (name.startsWith("/")) return `${plan.name}/${clean}`;
    const slash = clean.indexOf("/");
    return slash < 0 ? plan.name : `${plan.name}${clean.slice(slash)}`;
  };
  try {
    for await (const { header, content } of readTar(counted())) {
      const linkname = header.type === "link" ? rename(header.linkname) : header.linkname;
      await writer.add({ ...header, name: rename(header.name), linkname }, content);
    }
    writer.finish();
  } catch (error) {
    throw error instanceof ExitError ? error : new ExitError(1, explain(error));
  } finally {
    writer.close();
  }
  return bytes;
}

function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "EISDIR") return `cannot overwrite directory with non-directory: ${message}`;
  if (code === "ENOTDIR") return `cannot overwrite non-directory with directory: ${message}`;
  return message;
}

async function copyIn({ session, container, source, target, archive, follow }: Copy): Promise<number | undefined> {
  const client = await session.client();
  const end = await remoteEnd(client, container, target);
  const size = localBytes(session, source);
  let current: (() => number | undefined) | undefined;
  using meter = new Meter(session.io, { doing: "Copying", total: size, current: () => current?.() });
  let bytes = 0;
  let directory: string;
  let content: AsyncIterable<Uint8Array>;
  if (source === "-") {
    if (!end.isDirectory) throw new ExitError(1, `destination "${container}:${target}" must be a directory`);
    directory = end.path;
    content = session.io.stdin.chunks();
  } else {
    const plan = planCopy(localSource(session, source, follow), end);
    directory = plan.directory;
    const absolute = resolve(session.io.cwd(), source);
    const { takesDescriptors, isLarge, handIn, positionOf } = await import("../../copy/handed-file.ts");
    if (isLarge(size) && takesDescriptors(client)) {
      const onOpen = (fd: number): void => {
        current = () => positionOf(fd);
      };
      const from = { source: absolute, follow, url: fileUrl(container), ...plan, keepOwners: archive, onOpen };
      const handed = await handIn(client, from);
      if (handed !== undefined) return handed;
      current = undefined;
    }
    const { localTar } = await import("../../copy/local-tar.ts");
    content = localTar(absolute, plan.name, { follow: follow || wantsDirectory(source) });
  }
  const counted = async function* () {
    for await (const chunk of content) {
      bytes += chunk.length;
      meter.add(chunk.length);
      yield chunk;
    }
  };
  await client.send("PUT", `/containers/${segment(container)}/archive`, {
    query: { path: directory, noOverwriteDirNonDir: "true", copyUIDGID: archive ? "true" : undefined },
    headers: { "Content-Type": "application/x-tar" },
    body: asStream(counted()),
  });
  return bytes;
}

/** Of a single file: a tree would have to be walked twice. */
function localBytes(session: Session, source: string): number | undefined {
  const found = source === "-" ? undefined : statSync(resolve(session.io.cwd(), source), { throwIfNoEntry: false });
  return found?.isFile() === true ? found.size : undefined;
}

function localSource(session: Session, source: string, follow: boolean): End {
  const absolute = resolve(session.io.cwd(), source);
  const look = follow || wantsDirectory(source) ? statSync : lstatSync;
  const found = look(absolute, { throwIfNoEntry: false });
  if (found === undefined) throw new ExitError(1, `lstat ${absolute}: no such file or directory`);
  const suffix = /(^|\/)\.$/.test(source) ? "/." : wantsDirectory(source) ? "/" : "";
  return { path: absolute.replace(/\/$/, "") + suffix, exists: true, isDirectory: found.isDirectory() };
}

/** What lies at a path of the container. A path that is missing may be made by the copy; a container that is missing may not. */
async function remoteEnd(client: EngineClient, container: string, path: string): Promise<End> {
  const clean = path.startsWith("/") ? path : `/${path}`;
  try {
    const found = await stat(client, container, clean);
    if (!isLink(found)) return { path: clean, exists: true, isDirectory: isDirectory(found) };
    const behind = await stat(client, container, found.linkTarget);
    return { path: found.linkTarget, exists: true, isDirectory: isDirectory(behind) };
  } catch (error) {
    if (!(error instanceof ApiError) || !error.reason.startsWith("Could not find the file")) throw error;
    return { path: clean, exists: false, isDirectory: false };
  }
}
