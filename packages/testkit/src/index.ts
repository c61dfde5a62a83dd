/** What tests share: the base image, random trees, hostile archives, suites for interfaces. Nothing that ships imports it. */
export { BASE_IMAGE, baseImageArchive, baseRootTar } from "./base-image.ts";
export { HOSTILE_ARCHIVES, type HostileArchive } from "./hostile-archives.ts";
export { HOSTILE_LAYERS, type HostileLayer } from "./hostile-layers.ts";
export { Random } from "./random.ts";
export { randomLayer } from "./random-layer.ts";
export { type TarMember, tarOf } from "./tar-of.ts";
