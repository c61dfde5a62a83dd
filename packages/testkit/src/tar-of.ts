import { END_OF_ARCHIVE, encodeTarHeader, padding, type TarHeaderInput } from "@slipway/tar";

export type TarMember = Omit<TarHeaderInput, "mode" | "size"> & {
  readonly mode?: number;
  /** What the header says; the content's size if absent. */
  readonly size?: number;
  readonly content?: string | Uint8Array;
};

/** A tar of members exactly as given, however wrong they are. */
export function tarOf(members: readonly TarMember[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { content, ...header } of members) {
    const bytes = Buffer.from(content ?? "");
    parts.push(
      encodeTarHeader({ mode: 0o644, size: bytes.length, ...header }),
      bytes,
      new Uint8Array(padding(bytes.length)),
    );
  }
  parts.push(END_OF_ARCHIVE);
  return Buffer.concat(parts);
}
