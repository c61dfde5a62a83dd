/** What an archive may ask of its reader. Every one is checked before memory is taken. */
export interface TarLimits {
  /** Bytes of one PAX header, GNU long name or sparse map. */
  readonly maxMetadata: number;
  /** Bytes of a name or link target: Linux can make no longer path. */
  readonly maxPath: number;
  /** Extended attributes of one entry. */
  readonly maxXattrs: number;
  readonly maxEntries: number;
  /** Bytes of one entry's content. */
  readonly maxEntrySize: number;
  /** Bytes of a sparse entry with its holes: a kilobyte of archive can stand for any of it. */
  readonly maxSparseSize: number;
}

export const DEFAULT_LIMITS: TarLimits = {
  maxMetadata: 1024 * 1024,
  maxPath: 4096,
  maxXattrs: 256,
  maxEntries: 20_000_000,
  maxEntrySize: Number.MAX_SAFE_INTEGER,
  maxSparseSize: 64 * 1024 ** 3,
};
