import { read } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { writeBehind } from "@slipway/sys";
import { END_OF_ARCHIVE, encodeTarHeader, padding, readTar, type TarHeader } from "@slipway/tar";
import type { Backends } from "../backend.ts";
import type { Call } from "../call.ts";
import { json, type Reply } from "../http/reply.ts";
import { type PeerFile, peerFile } from "../peer-file.ts";
import type { RouteTable } from "../router.ts";

/** Bytes that are read together. */
const CHUNK = 1024 * 1024;

/**
 * Our own calls that copy one file between a container and a file that the client has open: its bytes do not go through the
 * socket. What is checked and what happens is the same as with archives, which they are for the engine.
 */
export function slipwayFileRoutes({ files }: Backends): RouteTable {
  return {
    "PUT /slipway/containers/{id}/file": (call) => bring(call, files),
    "POST /slipway/containers/{id}/file": (call) => fetchFile(call, files),
  };
}

/** Into the directory `path`, under `Name`, with the mode and time of the client's file. */
async function bring(call: Call, files: Backends["files"]): Promise<Reply> {
  const document = await call.json();
  const name = document.field("Name").string();
  using file = peerFile(call.socket, document);
  const count = { bytes: 0 };
  const tar = counted(tarOf(file, name, call.signal), count);
  await files.extract(call.parameter("id"), pathOf(call), asStream(tar), {
    copyUidGid: document.field("CopyUIDGID").optionalBoolean() === true,
    noOverwriteDirNonDir: true,
    signal: call.signal,
  });
  return json(200, { Bytes: count.bytes });
}

/** The file at `path`; the answer says what the client may give its own: mode, owner and time. */
async function fetchFile(call: Call, files: Backends["files"]): Promise<Reply> {
  using file = peerFile(call.socket, await call.json());
  const { tar } = await files.archive(call.parameter("id"), pathOf(call), { signal: call.signal });
  const count = { bytes: 0 };
  let written: TarHeader | undefined;
  for await (const { header, content } of readTar(counted(tar, count))) {
    if (header.type !== "file") throw new SlipwayError("invalid", "only a plain file can be copied into another one");
    await writeBehind(file.fd, content);
    written = header;
  }
  if (written === undefined) throw new SlipwayError("conflict", "the file was removed while it was read");
  const { mode, uid, gid, mtime } = written;
  return json(200, { Bytes: count.bytes, Mode: mode, Uid: uid, Gid: gid, Mtime: String(mtime) });
}

async function* tarOf(file: PeerFile, name: string, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  const { mode, uid, gid, mtime, size } = file.stat;
  yield encodeTarHeader({ name, type: "file", mode, uid, gid, mtime, size });
  let left = size;
  let next = left > 0 ? readNext(file.fd, left) : undefined;
  try {
    while (next !== undefined) {
      const chunk = await next;
      next = undefined;
      signal.throwIfAborted();
      // The header has promised a size.
      if (chunk.length === 0) throw new SlipwayError("conflict", "the file became shorter while it was read");
      left -= chunk.length;
      if (left > 0) next = readNext(file.fd, left);
      yield chunk;
    }
  } finally {
    // The descriptor must not be closed, and be another file's, while it is read.
    await next?.catch(() => {});
  }
  yield new Uint8Array(padding(size));
  yield END_OF_ARCHIVE;
}

/** From where the client's descriptor stands: by that it sees how far we are. */
function readNext(fd: number, left: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(Math.min(left, CHUNK));
  return new Promise((resolve, reject) => {
    read(fd, buffer, 0, buffer.length, null, (error, bytes) => {
      if (error === null) resolve(buffer.subarray(0, bytes));
      else reject(new SlipwayError("invalid", `the client's file cannot be read: ${error.message}`, { cause: error }));
    });
  });
}

async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  count: { bytes: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    count.bytes += chunk.length;
    yield chunk;
  }
}

function asStream(chunks: AsyncGenerator<Uint8Array, void, undefined>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await chunks.next();
        if (next.done === true) controller.close();
        else if (next.value.length > 0) controller.enqueue(next.value);
        else await this.pull?.(controller);
      },
      async cancel() {
        await chunks.return();
      },
    },
    { highWaterMark: 0 },
  );
}

function pathOf(call: Call): string {
  const path = call.query.string("path");
  if (path === undefined) throw new SlipwayError("invalid", "bad parameter: path cannot be empty");
  return path;
}
