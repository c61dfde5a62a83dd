import { isError, SlipwayError } from "@slipway/base";
import type { AttachRequest, Endpoint, PublishedPort, Sandbox } from "@slipway/network";
import type { Namespace } from "@slipway/runtime";
import type { ContainerContext } from "../containers/container-context.ts";
import type { ContainerEntry } from "../containers/container-index.ts";
import { isAlive } from "../containers/container-life.ts";
import type { EndpointSettings } from "../faces.ts";
import { parseNetworkMode } from "../settings/network-mode.ts";
import { hasRandomPort, type PortWish, portRequests, wishedPorts } from "../settings/port-spec.ts";
import { namesOn, settleAttachments } from "./attachments.ts";
import { linksOn } from "./links.ts";

/** The network of a container that is about to run. */
export interface Connection {
  readonly namespace: Namespace;
  /** The file of the namespace, if it is the container's own. */
  readonly ownNamespace?: string;
  readonly endpoints: readonly Endpoint[];
  /** Where our resolver answers inside, if it does. */
  readonly nameserver?: string;
}

/** Connects a container to all of its networks. What fails halfway is undone by releasing its network. */
export async function connectContainer(context: ContainerContext, entry: ContainerEntry): Promise<Connection> {
  const { hostConfig, config } = entry.definition;
  const settled = settleAttachments(context.networks, entry.definition.attachments);
  // A network that was named by its ID before it was there.
  if (settled !== undefined) context.index.redefine(entry, { ...entry.definition, attachments: settled });
  const { attachments } = entry.definition;
  const mode = parseNetworkMode(hostConfig.NetworkMode ?? "");
  if (mode.kind === "host") return { namespace: "host", endpoints: [] };
  if (mode.kind === "container") return { namespace: joinedNetwork(context, mode.container), endpoints: [] };
  const isAlone = mode.kind === "none" || config.NetworkDisabled === true || Object.keys(attachments).length === 0;
  const sandbox = isAlone ? await context.networks.isolate(entry.id) : await connectPublished(context, entry);
  return {
    namespace: { path: sandbox.namespacePath },
    ownNamespace: sandbox.namespacePath,
    endpoints: sandbox.endpoints,
    ...(sandbox.nameserver === undefined ? {} : { nameserver: sandbox.nameserver }),
  };
}

/** Of a range of host ports the first that is free is taken, of those that nobody chose the one of the last run. */
async function connectPublished(context: ContainerContext, entry: ContainerEntry): Promise<Sandbox> {
  const { definition } = entry;
  const wishes = wishedPorts(definition.config, definition.hostConfig);
  let last = definition.lastPorts ?? [];
  let cleaned = false;
  for (let attempt = 0; ; ) {
    try {
      const sandbox = await connectAll(context, entry, portRequests(wishes, attempt, last) ?? []);
      rememberPorts(context, entry, wishes, sandbox.endpoints);
      return sandbox;
    } catch (error) {
      if (!isError(error, "conflict")) throw error;
      if (!cleaned) {
        // Whoever has the port or the address may have ended already: containers are cleaned up while nobody waits.
        cleaned = true;
        await context.cleanups.idle();
      } else if (last.length > 0) last = [];
      else if (portRequests(wishes, ++attempt) === undefined) throw error;
    }
  }
}

async function connectAll(
  context: ContainerContext,
  entry: ContainerEntry,
  ports: readonly PublishedPort[],
): Promise<Sandbox> {
  const { networks } = context;
  let sandbox: Sandbox | undefined;
  for (const [network, settings] of Object.entries(entry.definition.attachments)) {
    const request = attachRequest(context, entry, { network, settings, ports });
    sandbox = sandbox === undefined ? await networks.connect(request) : await networks.connectEndpoint(request);
  }
  return sandbox ?? networks.isolate(entry.id);
}

/** What the network is asked for one endpoint of a container. */
export function attachRequest(
  context: Pick<ContainerContext, "index">,
  entry: ContainerEntry,
  wanted: {
    readonly network: string;
    readonly settings: EndpointSettings;
    readonly ports: readonly PublishedPort[];
  },
): AttachRequest {
  const { config, hostConfig } = entry.definition;
  const { network, settings, ports } = wanted;
  // The address of old requests, which knew one network.
  const isFirst = Object.keys(entry.definition.attachments)[0] === network;
  const mac = settings.mac || (isFirst ? config.MacAddress : undefined);
  return {
    containerId: entry.id,
    network,
    ports,
    names: namesOn(entry, settings),
    links: linksOn(context.index, settings),
    ...(mac ? { macAddress: mac } : {}),
    ...(settings.ipv4 ? { address: settings.ipv4 } : {}),
    ...(settings.ipv6 ? { ipv6Address: settings.ipv6 } : {}),
    ...(settings.linkLocal ? { linkLocal: settings.linkLocal } : {}),
    ...(settings.driverOptions ? { options: settings.driverOptions } : {}),
    ...(settings.gatewayPriority ? { gatewayPriority: settings.gatewayPriority } : {}),
    ...(hostConfig.Dns !== undefined && hostConfig.Dns.length > 0 ? { nameservers: hostConfig.Dns } : {}),
  };
}

/** Before the container runs: a crash afterwards finds the ports in the network's own rows. */
export function rememberPorts(
  context: Pick<ContainerContext, "index">,
  entry: ContainerEntry,
  wishes: readonly PortWish[],
  endpoints: readonly Endpoint[],
): void {
  if (!wishes.some(hasRandomPort)) return;
  const ports = endpoints.flatMap((endpoint) => endpoint.ports);
  if (ports.length === 0 || Bun.deepEquals(ports, entry.definition.lastPorts)) return;
  context.index.redefine(entry, { ...entry.definition, lastPorts: ports });
}

function joinedNetwork(context: ContainerContext, name: string): Namespace {
  const other = runningContainer(context, name, "network");
  if (other.definition.hostConfig.NetworkMode === "host") return "host";
  return { path: `/proc/${other.state.pid}/ns/net` };
}

/** Another container whose namespace is joined. Throws `conflict` if it does not run. */
export function runningContainer(context: ContainerContext, name: string, what: string): ContainerEntry {
  const other = context.index.resolve(name);
  if (isAlive(other.state.status)) return other;
  throw new SlipwayError("conflict", `cannot join ${what} of a non running container: ${other.id}`, {
    hint: `Start it first: docker start ${other.name}`,
  });
}
