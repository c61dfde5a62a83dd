/** Distribution 1.1: the client of registries, and a registry of our own on files or in a bucket. */
export type { Credentials } from "./client/credentials.ts";
export type { RemoteImage } from "./client/image-documents.ts";
export { registryMigrations } from "./client/known-blobs.ts";
export type { LayerForm } from "./client/layer-content.ts";
export type { OnProgress, TransferProgress } from "./client/progress.ts";
export type { PulledImage, PullOptions } from "./client/pull.ts";
export type { PushedImage, PushOptions } from "./client/push.ts";
export { RegistryClient, type RegistryClientOptions } from "./client/registry-client.ts";
export { proxiesOf, type RegistrySettings } from "./client/settings.ts";
export type { AuthOptions } from "./server/auth/auth.ts";
export { ANONYMOUS as ANONYMOUS_USER, parseGrant, Users as RegistryUsers } from "./server/auth/users.ts";
export { collect as collectRegistry } from "./server/collect/collect.ts";
export { readRegistryRules } from "./server/config.ts";
export { checkListenPolicy } from "./server/listen-policy.ts";
export { type RegistryOptions, RegistryServer } from "./server/serve.ts";
export type { Storage as RegistryStorage } from "./server/storage/contents.ts";
export { openRegistryStorage } from "./server/storage/open.ts";
