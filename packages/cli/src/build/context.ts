import { ExitError } from "../errors.ts";
import type { Io } from "../io.ts";

/** Where the files of a build come from, as the command line names it. */
export type ContextSource =
  | { readonly kind: "local"; readonly path: string; readonly device: string; readonly inode: string }
  | { readonly kind: "git"; readonly url: string }
  | { readonly kind: "tar"; readonly chunks: AsyncIterable<Uint8Array> }
  | { readonly kind: "empty" };

export type DockerfileSource = { readonly path: string } | { readonly text: string; readonly name: string };

export interface BuildSources {
  readonly context: ContextSource;
  readonly dockerfile: DockerfileSource;
}

/** Finds out what `PATH | URL | -` and `--file` mean together. Throws `ExitError`. */
export async function findSources(argument: string, file: string, io: Io): Promise<BuildSources> {
  if (argument === "-" && file === "-") {
    throw new ExitError(1, "invalid argument: can't use stdin for both build context and dockerfile");
  }
  if (argument === "-") return await fromStdin(file, io);
  if (isRemote(argument)) {
    const dockerfile = file === "-" ? await readStdinDockerfile(io) : { path: file === "" ? "Dockerfile" : file };
    return { context: { kind: "git", url: argument }, dockerfile };
  }
  const { resolve } = await import("node:path");
  const { context, path } = await localContext(resolve(io.cwd(), argument), argument);
  if (file === "-") return { context, dockerfile: await readStdinDockerfile(io) };
  return { context, dockerfile: await localDockerfile(path, file, io.cwd()) };
}

function isRemote(text: string): boolean {
  return /^(https?|git|ssh):\/\//.test(text) || /^git@[^:]+:/.test(text) || /^github\.com\//.test(text);
}

async function localContext(path: string, shown: string): Promise<{ context: ContextSource; path: string }> {
  const { lstat, realpath } = await import("node:fs/promises");
  try {
    // The engine compares what it sees at this path: a link would be another thing than its target.
    const real = await realpath(path);
    const info = await lstat(real, { bigint: true });
    if (!info.isDirectory()) {
      throw new ExitError(
        1,
        `unable to prepare context: path "${shown}" is not a directory`,
        `Give the folder, and the Dockerfile with -f: slipway build -f ${shown} .`,
      );
    }
    return { context: { kind: "local", path: real, device: String(info.dev), inode: String(info.ino) }, path: real };
  } catch (error) {
    if (error instanceof ExitError) throw error;
    const missing = (error as { code?: unknown }).code === "ENOENT";
    throw new ExitError(
      1,
      `unable to prepare context: path "${shown}" ${missing ? "not found" : (error as Error).message}`,
    );
  }
}

/** A Dockerfile inside the context is named; one outside is sent. */
async function localDockerfile(context: string, file: string, cwd: string): Promise<DockerfileSource> {
  if (file === "") return { path: "Dockerfile" };
  const { relative, resolve } = await import("node:path");
  const { readFile, realpath } = await import("node:fs/promises");
  const given = resolve(cwd, file);
  // As Docker: what is not found from here may be meant from the context.
  const absolute = (await Bun.file(given).exists()) ? given : resolve(context, file);
  try {
    const real = await realpath(absolute);
    const inside = relative(context, real);
    if (inside !== "" && !inside.startsWith("..")) return { path: inside };
    return { text: await readFile(real, "utf8"), name: file };
  } catch (error) {
    const missing = (error as { code?: unknown }).code === "ENOENT";
    throw new ExitError(
      1,
      `failed to read the Dockerfile ${file}: ${missing ? "no such file" : (error as Error).message}`,
    );
  }
}

async function readStdinDockerfile(io: Io): Promise<DockerfileSource> {
  return { text: Buffer.concat(await collect(io.stdin.chunks())).toString(), name: "Dockerfile" };
}

/** Stdin is a context if it looks like an archive, else a Dockerfile. */
async function fromStdin(file: string, io: Io): Promise<BuildSources> {
  const iterator = io.stdin.chunks()[Symbol.asyncIterator]();
  const { head, done } = await takeHead(iterator);
  const rest: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => iterator };
  if (isArchive(head)) {
    return {
      context: { kind: "tar", chunks: prepend(head, rest) },
      dockerfile: { path: file === "" ? "Dockerfile" : file },
    };
  }
  if (file !== "") throw new ExitError(1, "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles");
  const text = Buffer.concat([head, ...(done ? [] : await collect(rest))]).toString();
  return { context: { kind: "empty" }, dockerfile: { text, name: "Dockerfile" } };
}

const HEAD = 512;

async function takeHead(iterator: AsyncIterator<Uint8Array>): Promise<{ head: Buffer; done: boolean }> {
  let head = Buffer.alloc(0);
  while (head.length < HEAD) {
    const next = await iterator.next();
    if (next.done === true) return { head, done: true };
    head = Buffer.concat([head, next.value]);
  }
  return { head, done: false };
}

function isArchive(head: Buffer): boolean {
  const magics = ["1f8b08", "425a68", "fd377a585a00", "28b52ffd"];
  return (
    magics.some((magic) => head.toString("hex", 0, magic.length / 2) === magic) ||
    head.toString("latin1", 257, 262) === "ustar"
  );
}

async function* prepend(head: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  yield head;
  yield* rest;
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}
