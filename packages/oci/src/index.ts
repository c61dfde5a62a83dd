/** OCI and Docker image documents: parsed from `unknown`, branded, immutable. It reads no files and opens no connections. */
export { type Descriptor, readDescriptor } from "./descriptor.ts";
export {
  type ChainId,
  chainIdOf,
  chainIdsOf,
  type DiffId,
  type Digest,
  type DigestAlgorithm,
  digestAlgorithm,
  digestHex,
  digestOf,
  type ImageId,
  isDigest,
  parseDigest,
} from "./digest.ts";
export {
  encodeImageConfig,
  type Healthcheck,
  type HistoryEntry,
  type ImageConfig,
  parseImageConfig,
  type RunConfig,
  readRunConfig,
} from "./image-config.ts";
export {
  encodeIndex,
  encodeManifest,
  type Index,
  MAX_MANIFEST_SIZE,
  type Manifest,
  parseManifest,
} from "./manifest.ts";
export { type Compression, isIndexType, isManifestType, layerCompression, MEDIA_TYPES } from "./media-types.ts";
export {
  formatPlatform,
  hostPlatform,
  type Platform,
  parsePlatform,
  platformMatches,
  readPlatform,
} from "./platform.ts";
export {
  familiarName,
  familiarReference,
  formatReference,
  looksLikeImageId,
  parseReference,
  type Reference,
  withDefaultTag,
} from "./reference.ts";
