/**
 * Networks of containers: namespaces, bridges, leased addresses, published ports, a resolver for their names, and the files
 * that tell a container its name and its name servers. It knows nothing of processes or images.
 */
export {
  type HostsFileInput,
  hostnameFile,
  hostResolver,
  hostsFile,
  parseResolvConf,
  type ResolverInput,
  type ResolverSettings,
  resolvConf,
} from "./container-files.ts";
export type { NameServer } from "./dns/dns-upstream.ts";
export type {
  AddressPool,
  AttachRequest,
  ContainerNetworks,
  CreateNetwork,
  Endpoint,
  NetworkCatalog,
  NetworkInfo,
  NetworkMember,
  Networks,
  PublishedPort,
  Sandbox,
} from "./faces.ts";
export { networkMigrations } from "./migrations.ts";
export { NETWORK_OPTIONS } from "./network-options.ts";
export { type NetworkOptions, openNetworks } from "./networks.ts";
