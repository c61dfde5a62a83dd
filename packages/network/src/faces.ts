/** A port that the host forwards to a container. */
export interface PublishedPort {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly containerPort: number;
  /** Address to listen on; `0.0.0.0` and `::` for all. */
  readonly hostAddress: string;
  /** 0 asks for a free one of the ephemeral range. */
  readonly hostPort: number;
}

export interface AttachRequest {
  readonly containerId: string;
  /** Name or ID of a network; `bridge` is the default one. */
  readonly network: string;
  readonly ports: readonly PublishedPort[];
  readonly macAddress?: string;
  readonly address?: string;
}

/** A container's place in a network. It exists in the database before anything in the kernel is made. */
export interface Endpoint {
  readonly id: string;
  readonly networkId: string;
  readonly networkName: string;
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly macAddress: string;
  /** With every host port decided. */
  readonly ports: readonly PublishedPort[];
}

/** A network namespace that lives as a file, to be named in the OCI spec (`linux.namespaces[].path`). */
export interface Sandbox {
  readonly namespacePath: string;
  readonly endpoints: readonly Endpoint[];
}

export interface NetworkInfo {
  readonly id: string;
  readonly name: string;
  readonly driver: "bridge" | "host" | "null";
  readonly bridge?: string;
  readonly subnet?: string;
  readonly gateway?: string;
  readonly created: number;
  readonly internal: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Networks {
  list(): NetworkInfo[];
  find(nameOrId: string): NetworkInfo | undefined;
  /** A namespace with `lo` up, an endpoint on the network, and its ports published. One `ip -batch`, one `nft -f`. Throws `conflict` for a port that is taken, saying by whom if it can be known. */
  connect(request: AttachRequest, signal?: AbortSignal): Promise<Sandbox>;
  /** A namespace with nothing but `lo`. */
  isolate(containerId: string): Promise<Sandbox>;
  /** Removes namespace, endpoints, addresses, ports and rules of a container; again does nothing. */
  release(containerId: string): Promise<void>;
  sandbox(containerId: string): Sandbox | undefined;
  /** Makes kernel and database agree again after a crash, a reboot or `nft flush ruleset`; keeps only the given containers. */
  reconcile(running: ReadonlySet<string>): Promise<void>;
  close(): Promise<void>;
}
