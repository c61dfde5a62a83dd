/** What tests share: the base image, random trees, hostile archives, suites for interfaces. Nothing that ships imports it. */
import { join } from "node:path";

export { BASE_IMAGE, baseImageArchive, baseRootTar } from "./base-image.ts";
export { HOSTILE_ARCHIVES, type HostileArchive } from "./hostile-archives.ts";
export { HOSTILE_LAYERS, type HostileLayer } from "./hostile-layers.ts";
export { Random } from "./random.ts";
export { randomLayer } from "./random-layer.ts";
export { registryStorageSuite } from "./registry-storage-suite.ts";
export { S3_ENVIRONMENT, S3Server } from "./s3-server.ts";
export { type TarMember, tarOf } from "./tar-of.ts";

/** A program that does random things to the data root in its first argument until it is killed; the second is a seed. */
export const STORE_CRASH_CHILD: string = join(import.meta.dir, "store-crash-child.ts");
