import { isError } from "@slipway/base";
import type { StdioSession } from "../backend.ts";
import type { RawStream } from "../http/reply.ts";
import { DetachScanner } from "./detach-keys.ts";

export const RAW_STREAM = "application/vnd.docker.raw-stream";
const MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream";

const STREAM_NUMBER = { stdin: 0, stdout: 1, stderr: 2 } as const;

/** The content type of a stream of output: before 1.42 both kinds were called raw. */
export function streamType(multiplexed: boolean, version: number): string {
  return multiplexed && version >= 42 ? MULTIPLEXED_STREAM : RAW_STREAM;
}

/** One frame: the stream's number, three zeros, the length as 32 bits big-endian, the data. */
export function frame(stream: "stdout" | "stderr", data: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(8 + data.length);
  bytes.writeUInt32BE(STREAM_NUMBER[stream] << 24, 0);
  bytes.writeUInt32BE(data.length, 4);
  bytes.set(data, 8);
  return bytes;
}

export interface StdioOptions {
  /** Frames for stdout and stderr; without, bytes as they come (a terminal). */
  readonly multiplexed: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Bytes that end the session, from a terminal only. */
  readonly detachKeys?: Uint8Array;
  /** A client that says that it sends no more is gone as a whole: a websocket has no half-closed state. */
  readonly detachAtInputEnd?: boolean;
}

/**
 * Joins a hijacked connection with a session: until the process has ended, the client is gone, or the detach keys were
 * typed. The end of the client's input closes the process's stdin while its output goes on.
 */
export async function pumpStdio(stream: RawStream, session: StdioSession, options: StdioOptions): Promise<void> {
  const detach = () => session.detach();
  stream.signal.addEventListener("abort", detach, { once: true });
  if (stream.signal.aborted) detach();
  const input = options.stdin ? pumpInput(stream, session, options.detachKeys) : drain(stream);
  if (options.detachAtInputEnd === true) void input.then(detach, detach);
  try {
    for await (const { stream: name, data } of session.output) {
      if (!options[name]) continue;
      await stream.write(options.multiplexed ? frame(name, data) : data);
    }
    // The container's end is told when the session is let go. Clients that have that answer expect no more output, but might
    // find both at once and read it first.
    await stream.taken();
  } catch (error) {
    if (!isError(error, "cancelled")) throw error;
  } finally {
    stream.signal.removeEventListener("abort", detach);
    session.detach();
  }
  // The input may wait for a client that keeps its side open; it ends with the connection.
  input.catch(() => {});
}

async function pumpInput(stream: RawStream, session: StdioSession, keys: Uint8Array | undefined): Promise<void> {
  const scanner = keys === undefined || keys.length === 0 ? undefined : new DetachScanner(keys);
  try {
    for await (const chunk of stream.input) {
      const { data, detached } = scanner === undefined ? { data: chunk, detached: false } : scanner.scan(chunk);
      if (data.length > 0) await session.write(data);
      if (detached) {
        session.detach();
        return;
      }
    }
    if (!stream.signal.aborted) session.closeStdin();
  } catch {
    // The process no longer reads; what else the client sends has no meaning.
    await drain(stream);
  }
}

/** Reads on so that the end of the client's side is seen. */
async function drain(stream: RawStream): Promise<void> {
  for await (const _ of stream.input) {
    // Nobody wants it.
  }
}
