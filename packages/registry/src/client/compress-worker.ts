import { constants, deflateRawSync, gzipSync, zstdCompressSync } from "node:zlib";

/** Compresses pieces of a layer, each by itself, so that many can be at work on one layer. */
declare const self: {
  onmessage: ((event: MessageEvent<PieceJob>) => void) | null;
  postMessage(message: PieceDone, transfer: ArrayBuffer[]): void;
};

export interface PieceJob {
  readonly id: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly compression: "gzip" | "zstd";
  readonly level: number;
}

export type PieceDone =
  | { readonly id: number; readonly bytes: Uint8Array }
  | { readonly id: number; readonly failure: string };

self.onmessage = ({ data }) => {
  const { id } = data;
  try {
    const bytes = compressPiece(data);
    const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
    self.postMessage({ id, bytes: own }, [own.buffer as ArrayBuffer]);
  } catch (error) {
    self.postMessage({ id, failure: String(error) }, []);
  }
};

/** Bytes by which a piece's worth is judged. */
const SAMPLE = 32 * 1024;

/** A gzip member or a zstd frame of its own: any number of them in a row is one valid stream. */
function compressPiece({ bytes, compression, level }: PieceJob): Uint8Array {
  if (compression === "zstd") {
    return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: level } });
  }
  // Content that does not shrink (media, archives) is stored: trying costs ten times what sending it does.
  const start = Math.max(0, (bytes.length - SAMPLE) >> 1);
  const sample = bytes.subarray(start, start + SAMPLE);
  const shrinks = sample.length < SAMPLE || deflateRawSync(sample, { level: 1 }).length < SAMPLE * 0.96;
  return gzipSync(bytes, { level: shrinks ? level : 0 });
}
