/**
 * Networks of containers: namespaces, the default bridge, leased addresses, published ports, and the files that tell a
 * container its name and its name servers. It knows nothing of processes or images.
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
export type { AttachRequest, Endpoint, NetworkInfo, Networks, PublishedPort, Sandbox } from "./faces.ts";
export { networkMigrations } from "./migrations.ts";
export { type NetworkOptions, openNetworks } from "./networks.ts";
