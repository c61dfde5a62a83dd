/** A port that the host forwards to a container. */
export interface PublishedPort {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly containerPort: number;
  /**
   * Address to listen on; `0.0.0.0` and `::` for all. Empty in a request: what the network binds to
   * (`com.docker.network.bridge.host_binding_ipv4`), or all addresses of both families.
   */
  readonly hostAddress: string;
  /** 0 asks for a free one of the ephemeral range. */
  readonly hostPort: number;
}

export interface AttachRequest {
  readonly containerId: string;
  /** Name or ID of a network; `bridge` is the default one. */
  readonly network: string;
  /** They go to whichever endpoint has the default route; on an internal network they are left out. */
  readonly ports: readonly PublishedPort[];
  readonly macAddress?: string;
  /** On user-defined networks only if the user chose the subnet, as Docker has it. */
  readonly address?: string;
  readonly ipv6Address?: string;
  /** What others on a user-defined network find it by: name, aliases, host name. IDs are found without being told. The first one is the answer to a reverse lookup. */
  readonly names?: readonly string[];
  /** Names for this container only: alias to a name or ID on the same network. */
  readonly links?: Readonly<Record<string, string>>;
  /** The endpoint with the highest one has the default route; among equals the network whose name comes first. 0 when absent. */
  readonly gatewayPriority?: number;
  /** Further addresses for the interface, which only neighbours reach: 169.254.0.0/16 and fe80::/10. */
  readonly linkLocal?: readonly string[];
  /** Options of Docker's bridge driver for an endpoint, see `ENDPOINT_OPTIONS`; others have no effect. */
  readonly options?: Readonly<Record<string, string>>;
  /** `--dns`: whom the container's resolver asks for names that are not ours, instead of the host's servers. Kept for the whole container. */
  readonly nameservers?: readonly string[];
}

/** A container's place in a network. It exists in the database before anything in the kernel is made. */
export interface Endpoint {
  readonly id: string;
  readonly networkId: string;
  readonly networkName: string;
  readonly address: string;
  readonly prefixLength: number;
  /** The bridge's address; empty on an internal network, from which no way leads out. */
  readonly gateway: string;
  readonly ipv6?: { readonly address: string; readonly prefixLength: number; readonly gateway: string };
  readonly macAddress: string;
  /** Name inside the container: `eth0`, ... */
  readonly interface: string;
  readonly gatewayPriority: number;
  /** As requested, without the IDs. */
  readonly names: readonly string[];
  readonly links: Readonly<Record<string, string>>;
  /** With every host port decided. */
  readonly ports: readonly PublishedPort[];
}

/** A network namespace that lives as a file, to be named in the OCI spec (`linux.namespaces[].path`). */
export interface Sandbox {
  readonly namespacePath: string;
  readonly endpoints: readonly Endpoint[];
  /** Where our resolver answers inside, `127.0.0.11`; absent when the container is on no user-defined network. */
  readonly nameserver?: string;
}

/** A block of addresses of one family. */
export interface AddressPool {
  /** `172.18.0.0/16` or `fd00:1::/64`. */
  readonly subnet: string;
  /** The bridge's address: the first of the subnet when absent. */
  readonly gateway?: string;
  /** Part of the subnet that addresses are chosen from, if nobody asks for one outside it. */
  readonly range?: string;
  /** Addresses that something else has, by name. */
  readonly auxiliary?: Readonly<Record<string, string>>;
}

export interface CreateNetwork {
  readonly name: string;
  /** `bridge`, which is also the default. */
  readonly driver?: string;
  /** At most one of each family. Without an IPv4 one, the first of Docker's pools that nobody uses. */
  readonly pools?: readonly AddressPool[];
  /** Nothing is routed in or out. */
  readonly internal?: boolean;
  /** With IPv6, from a random private block if `pools` has none. */
  readonly ipv6?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  /** Options of Docker's bridge driver, see `NETWORK_OPTIONS`; others are kept and have no effect. */
  readonly options?: Readonly<Record<string, string>>;
  /** Kept for those who ask; it has a meaning in a swarm only. */
  readonly attachable?: boolean;
}

export interface NetworkInfo {
  readonly id: string;
  readonly name: string;
  readonly driver: "bridge" | "host" | "null";
  readonly bridge?: string;
  readonly subnet?: string;
  readonly gateway?: string;
  /** Blocks as they were asked for or chosen, gateways decided; IPv4 first. */
  readonly pools: readonly AddressPool[];
  readonly ipv6: boolean;
  readonly created: number;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** One of the three that are always there and cannot be removed. */
  readonly predefined: boolean;
}

/** An endpoint with the container it belongs to. */
export interface NetworkMember extends Endpoint {
  readonly containerId: string;
}

/** The networks themselves. */
export interface NetworkCatalog {
  list(): NetworkInfo[];
  find(nameOrId: string): NetworkInfo | undefined;
  /**
   * Makes a network with its bridge. Throws `already-exists` for a name that is taken, `forbidden` for a predefined one, for
   * blocks that overlap those of another network or of the host (saying whose) and for what the driver does not have,
   * `invalid` for settings that make no sense, `conflict` for a bridge name that another program uses.
   */
  create(request: CreateNetwork): Promise<NetworkInfo>;
  /** Throws `not-found`, and `forbidden` for a predefined network or one with endpoints. */
  remove(nameOrId: string): Promise<NetworkInfo>;
  /** What `prune` would remove: user-defined networks without endpoints. */
  unused(filter?: (network: NetworkInfo) => boolean): NetworkInfo[];
  /** Removes them; the answer is what is gone. */
  prune(filter?: (network: NetworkInfo) => boolean): Promise<NetworkInfo[]>;
  /** Who is on a network, in order of arrival. Throws `not-found`. */
  members(nameOrId: string): NetworkMember[];
}

/** The networks of containers. */
export interface ContainerNetworks {
  /** A namespace with `lo` up, an endpoint on the network, and its ports published. Throws `conflict` for a port that is taken, saying by whom if it can be known. */
  connect(request: AttachRequest, signal?: AbortSignal): Promise<Sandbox>;
  /** A namespace with nothing but `lo`. */
  isolate(containerId: string): Promise<Sandbox>;
  /**
   * Adds an endpoint to a namespace that `connect` or `isolate` made, also of a running container. Its `ports` are published
   * if the container has none yet. Throws `not-found` for a container without namespace, `forbidden` if it is on the network already.
   */
  connectEndpoint(request: AttachRequest, signal?: AbortSignal): Promise<Sandbox>;
  /** Takes the endpoint on a network away. Ports go on with the next endpoint that leads out. Throws `forbidden` if there is none to take. */
  disconnectEndpoint(containerId: string, network: string): Promise<Sandbox>;
  /** Other names for an endpoint, as after a rename; at once in force. */
  rename(containerId: string, network: string, names: readonly string[]): void;
  /** Removes namespace, endpoints, addresses, ports and rules of a container; again does nothing. */
  release(containerId: string): Promise<void>;
  sandbox(containerId: string): Sandbox | undefined;
}

export interface Networks extends NetworkCatalog, ContainerNetworks {
  /**
   * Makes kernel and database agree again after a crash, a reboot or `nft flush ruleset`: bridges, rules, ports and resolvers.
   * Keeps only the given containers.
   */
  reconcile(running: ReadonlySet<string>): Promise<void>;
  /** Lets go of ports and resolvers; what runs keeps its interfaces and rules. */
  close(): Promise<void>;
}
