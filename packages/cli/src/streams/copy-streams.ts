import { FrameReader } from "../client/frames.ts";
import type { RawConnection } from "../client/hijack.ts";
import type { Io } from "../io.ts";
import { DetachScanner } from "./detach-keys.ts";

export interface CopyOptions {
  readonly io: Io;
  readonly connection: RawConnection;
  /** Whether our input goes to the process. */
  readonly stdin: boolean;
  readonly tty: boolean;
  readonly detachKeys: readonly number[];
}

/** How it ended: the process closed its output, or the user typed the detach keys. */
export type CopyEnd = "ended" | "detached";

/** Connects our streams with the process's until one of them ends it. With a terminal it is raw meanwhile. */
export async function copyStreams(options: CopyOptions): Promise<CopyEnd> {
  const { io, connection, stdin, tty } = options;
  const restore = tty && stdin && io.stdin.isTerminal() ? await io.stdin.raw() : undefined;
  try {
    const output = copyOutput(connection, io).then((): CopyEnd => "ended");
    if (!stdin) return await output;
    const input = copyInput(options);
    // Input may end long before output: only a detach ends the whole.
    const detached = input.then((end) => (end === "detached" ? end : output));
    return await Promise.race([output, detached]);
  } finally {
    restore?.();
    connection.close();
  }
}

/** What a connection or a response sends, to our stdout and stderr. */
export async function copyOutput(
  source: { readonly multiplexed: boolean; chunks(): AsyncIterable<Uint8Array> },
  io: Io,
): Promise<void> {
  const frames = source.multiplexed ? new FrameReader() : undefined;
  for await (const chunk of source.chunks()) {
    if (frames === undefined) io.stdout.write(chunk);
    else for (const { stream, data } of frames.push(chunk)) io[stream].write(data);
    // Waiting here is what slows the engine down when our reader is slow.
    await Promise.all([io.stdout.flush(), io.stderr.flush()]);
  }
}

async function copyInput({ io, connection, tty, detachKeys }: CopyOptions): Promise<CopyEnd> {
  const scanner = new DetachScanner(tty ? detachKeys : []);
  for await (const chunk of io.stdin.chunks()) {
    const { data, detached } = scanner.push(chunk);
    if (data.length > 0) await connection.write(data);
    if (detached) return "detached";
  }
  connection.closeWrite();
  return "ended";
}
