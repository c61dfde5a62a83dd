import { type Digest, digestOf } from "@slipway/oci";

/** The files that a step read: path to what counts of each. */
export type FileManifest = ReadonlyMap<string, ManifestEntry>;

export interface ManifestEntry {
  /** Kind, mode and owner: `file 644 0:0`. */
  readonly metadata: string;
  /** sha256 of a file's content in hex, a link's target, empty for the rest. */
  readonly content: string;
}

/** One text for the same files, whatever their times. */
function manifestText(manifest: FileManifest): string {
  const lines: string[] = [];
  for (const [path, { metadata, content }] of manifest) lines.push(`${path}\0${metadata}\0${content}`);
  return lines.join("\n\0");
}

export function manifestDigest(manifest: FileManifest): Digest {
  return digestOf(manifestText(manifest));
}

export function encodeManifest(manifest: FileManifest): Uint8Array {
  return Bun.zstdCompressSync(manifestText(manifest), { level: 1 });
}

export function decodeManifest(data: Uint8Array): FileManifest {
  const text = new TextDecoder().decode(Bun.zstdDecompressSync(data));
  const manifest = new Map<string, ManifestEntry>();
  if (text === "") return manifest;
  for (const line of text.split("\n\0")) {
    const [path = "", metadata = "", content = ""] = line.split("\0");
    manifest.set(path, { metadata, content });
  }
  return manifest;
}
