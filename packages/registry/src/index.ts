/** Distribution 1.1: the client of registries, and a registry of our own on files or in a bucket. */
export { type RegistryOptions, RegistryServer } from "./server/serve.ts";
export type { Storage as RegistryStorage } from "./server/storage/contents.ts";
export { openRegistryStorage } from "./server/storage/open.ts";
