import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { SlipwayError } from "@slipway/base";

export type ArchiveCompression = "none" | "gzip" | "bzip2" | "xz" | "zstd";

const MAGIC: readonly (readonly [ArchiveCompression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b, 0x08]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
];

/** What the first bytes of a file say about its compression. */
export function sniffCompression(head: Uint8Array): ArchiveCompression {
  return MAGIC.find(([, bytes]) => bytes.every((byte, index) => head[index] === byte))?.[0] ?? "none";
}

/** Whether a block is a tar header: its checksum is right. */
export function isTarHeader(block: Uint8Array): boolean {
  if (block.length < 512) return false;
  const text = new TextDecoder().decode(block.subarray(148, 156)).replace(/\0.*$/, "").trim();
  if (!/^[0-7]+$/.test(text)) return false;
  let sum = 0;
  for (let index = 0; index < 512; index++) sum += index >= 148 && index < 156 ? 0x20 : (block[index] ?? 0);
  return sum === Number.parseInt(text, 8);
}

/** The expanded bytes. bzip2 and xz are left to the system's programs. Throws `corrupt`, or `unavailable` without the program. */
export async function* decompress(
  input: AsyncIterable<Uint8Array>,
  compression: ArchiveCompression,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (compression === "none") {
    yield* input;
    return;
  }
  if (compression === "bzip2" || compression === "xz") {
    yield* throughProgram(input, compression, signal);
    return;
  }
  const expander = compression === "gzip" ? createGunzip() : createZstdDecompress();
  const source = Readable.from(input);
  source.on("error", (error) => expander.destroy(error));
  try {
    for await (const chunk of source.pipe(expander)) {
      signal.throwIfAborted();
      yield chunk as Uint8Array;
    }
  } catch (cause) {
    signal.throwIfAborted();
    throw new SlipwayError("corrupt", `broken ${compression} data: ${(cause as Error).message}`, { cause });
  }
}

async function* throughProgram(
  input: AsyncIterable<Uint8Array>,
  program: "bzip2" | "xz",
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const path = Bun.which(program);
  if (path === null) {
    throw new SlipwayError("unavailable", `${program} is needed to unpack this archive and is not installed`, {
      hint: `Install it: apt-get install ${program === "xz" ? "xz-utils" : program}`,
    });
  }
  const child = Bun.spawn([path, "-dc"], { stdin: "pipe", stdout: "pipe", stderr: "pipe", signal });
  const feeding = feed(child.stdin, input);
  const errors = new Response(child.stderr).text();
  for await (const chunk of child.stdout) yield chunk;
  await feeding;
  signal.throwIfAborted();
  if ((await child.exited) !== 0)
    throw new SlipwayError("corrupt", `${program}: ${(await errors).trim().slice(0, 500)}`);
}

async function feed(stdin: Bun.FileSink, input: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const chunk of input) {
      stdin.write(chunk);
      await stdin.flush();
    }
    await stdin.end();
  } catch {
    // The program has ended; its exit code and message tell why.
  }
}
