import { END_OF_ARCHIVE, encodeTarHeader, padding, readTar } from "@slipway/tar";
import { type ContextMeta, parseMeta, type TlsMaterial } from "../../client/context-store.ts";
import { ExitError } from "../../errors.ts";

/** Bytes of one file of an imported context, as Docker limits them. */
const LARGEST_FILE = 10 * 1024 * 1024;

/** `meta.json` and `tls/<endpoint>/<file>`, as Docker writes them. */
export function contextArchive(meta: ContextMeta, tls: TlsMaterial): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory = (name: string) => parts.push(encodeTarHeader({ name, type: "dir", mode: 0o700 }));
  const file = (name: string, mode: number, content: Uint8Array) => {
    parts.push(encodeTarHeader({ name, type: "file", mode, size: content.length }), content);
    parts.push(new Uint8Array(padding(content.length)));
  };
  file("meta.json", 0o644, Buffer.from(JSON.stringify(meta)));
  directory("tls");
  for (const [endpoint, files] of Object.entries(tls)) {
    directory(`tls/${endpoint}`);
    for (const [name, content] of Object.entries(files)) file(`tls/${endpoint}/${name}`, 0o600, content);
  }
  parts.push(END_OF_ARCHIVE);
  return Buffer.concat(parts);
}

/** Throws `ExitError` for what is no exported context. */
export async function readContextArchive(
  stream: AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>,
): Promise<{ readonly meta: ContextMeta; readonly tls: TlsMaterial }> {
  let meta: ContextMeta | undefined;
  const tls: Record<string, Record<string, Uint8Array>> = {};
  for await (const { header, content } of readTar(stream)) {
    if (header.type !== "file") continue;
    if (header.size > LARGEST_FILE) throw new ExitError(1, `invalid context: ${header.name} is larger than 10 MB`);
    const bytes = await Array.fromAsync(content).then((chunks) => Buffer.concat(chunks));
    if (header.name === "meta.json") meta = parseMeta(bytes.toString());
    const [, endpoint, name] = /^tls\/([^/]+)\/([^/]+)$/.exec(header.name) ?? [];
    if (endpoint !== undefined && name !== undefined) (tls[endpoint] ??= {})[name] = bytes;
    else if (header.name !== "meta.json") throw new ExitError(1, `${header.name}: unexpected file in archive`);
  }
  if (meta === undefined) throw new ExitError(1, "invalid context: no metadata found");
  return { meta, tls };
}
