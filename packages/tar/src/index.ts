/** Streaming tar: PAX and GNU in, canonical PAX out. It knows nothing of layers. */
export { END_OF_ARCHIVE, padding } from "./format.ts";
export type { TarEntryType, TarHeader } from "./header.ts";
export { DEFAULT_LIMITS, type TarLimits } from "./limits.ts";
export { type TarHandler, TarParser } from "./parser.ts";
export { readTar, type TarEntry } from "./reader.ts";
export { encodeTarHeader, type TarHeaderInput } from "./writer.ts";
