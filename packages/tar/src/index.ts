/** Streaming tar: PAX and GNU in, canonical PAX out. It knows nothing of layers. */
export type { TarEntryType, TarHeader } from "./header.ts";
