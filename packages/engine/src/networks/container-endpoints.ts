import { errorMessage, SlipwayError, shortId } from "@slipway/base";
import type { Endpoint, NetworkInfo, Sandbox } from "@slipway/network";
import type { ContainerContext } from "../containers/container-context.ts";
import { changeHosts, etcFilesOf, ownHosts, writeResolvConf } from "../containers/container-files.ts";
import type { ContainerEntry } from "../containers/container-index.ts";
import { isAlive } from "../containers/container-life.ts";
import type { EndpointSettings } from "../faces.ts";
import { parseNetworkMode } from "../settings/network-mode.ts";
import { portRequests, wishedPorts } from "../settings/port-spec.ts";
import { type Attachments, checkSettings, namesOn, refusal } from "./attachments.ts";
import { attachRequest, rememberPorts } from "./container-connection.ts";
import { publishNetworkEvent } from "./network-events.ts";

/**
 * Networks of containers that are there already. The container's row is what counts: it is written first, and taken back if
 * the kernel refuses; after a crash in between the engine's start makes the kernel like the row (`agree`). The caller holds the
 * container's lock.
 */
export async function joinNetwork(
  context: ContainerContext,
  entry: ContainerEntry,
  wanted: { readonly network: NetworkInfo; readonly settings: EndpointSettings },
): Promise<void> {
  const { network, settings } = wanted;
  checkMayChange(entry);
  const mode = parseNetworkMode(entry.definition.hostConfig.NetworkMode ?? "");
  if (mode.kind !== "network") throw refusal(mode.kind);
  if (network.driver !== "bridge") throw refusal(network.name === "none" ? "none" : "container");
  checkSettings(network.name, settings);
  const before = entry.definition.attachments;
  if (!isAlive(entry.state.status)) {
    attach(context, entry, { ...before, [network.name]: settings });
    return;
  }
  if (entry.endpoints.some(({ networkId }) => networkId === network.id)) {
    throw new SlipwayError("forbidden", `endpoint with name ${entry.name} already exists in network ${network.name}`);
  }
  attach(context, entry, { ...before, [network.name]: settings });
  try {
    await addEndpoint(context, entry, network);
  } catch (error) {
    attach(context, entry, before);
    throw error;
  }
}

async function addEndpoint(context: ContainerContext, entry: ContainerEntry, network: NetworkInfo): Promise<void> {
  const { config, hostConfig, attachments, lastPorts } = entry.definition;
  const wishes = wishedPorts(config, hostConfig);
  const settings = attachments[network.name] ?? {};
  const ports = portRequests(wishes, 0, lastPorts) ?? [];
  const request = attachRequest(context, entry, { network: network.id, settings, ports });
  const sandbox = await context.networks.connectEndpoint(request);
  takeOver(context, entry, sandbox);
  rememberPorts(context, entry, wishes, sandbox.endpoints);
  publishNetworkEvent(context, network, "connect", { container: entry.id });
}

/** Throws `forbidden` for a container that is not on the network. */
export async function leaveNetwork(
  context: ContainerContext,
  entry: ContainerEntry,
  network: NetworkInfo,
): Promise<void> {
  checkMayChange(entry);
  const mode = parseNetworkMode(entry.definition.hostConfig.NetworkMode ?? "");
  if (mode.kind === "host" || network.driver === "host") throw refusal("host");
  if (mode.kind === "none" && network.name === "none") return leaveNone(context, entry, network);
  const before = entry.definition.attachments;
  if (before[network.name] === undefined) {
    throw new SlipwayError("forbidden", `container ${entry.id} is not connected to network ${network.name}`);
  }
  attach(context, entry, without(before, network.name));
  if (!isAlive(entry.state.status)) return;
  try {
    await removeEndpoint(context, entry, network);
  } catch (error) {
    attach(context, entry, before);
    throw error;
  }
}

/** It is on no network then, as one that has left all of its own, and may join others. */
function leaveNone(context: ContainerContext, entry: ContainerEntry, network: NetworkInfo): void {
  const { definition } = entry;
  context.index.redefine(entry, { ...definition, hostConfig: { ...definition.hostConfig, NetworkMode: "default" } });
  if (isAlive(entry.state.status)) publishNetworkEvent(context, network, "disconnect", { container: entry.id });
}

async function removeEndpoint(context: ContainerContext, entry: ContainerEntry, network: NetworkInfo): Promise<void> {
  takeOver(context, entry, await context.networks.disconnectEndpoint(entry.id, network.id));
  publishNetworkEvent(context, network, "disconnect", { container: entry.id });
}

function checkMayChange({ id, state }: ContainerEntry): void {
  if (state.status !== "removing" && state.status !== "dead") return;
  throw new SlipwayError("conflict", `container ${id} is marked for removal and cannot be connected or disconnected`);
}

function attach(context: ContainerContext, entry: ContainerEntry, attachments: Attachments): void {
  context.index.redefine(entry, { ...entry.definition, attachments });
}

function without(attachments: Attachments, name: string): Attachments {
  return Object.fromEntries(Object.entries(attachments).filter(([each]) => each !== name));
}

/** The container has other endpoints now: its files say so. */
function takeOver(context: ContainerContext, entry: ContainerEntry, sandbox: Sandbox): void {
  const before = entry.endpoints;
  entry.endpoints = sandbox.endpoints;
  const gone = before.filter((each) => !has(sandbox.endpoints, each)).flatMap(addressesOf);
  const come = sandbox.endpoints.filter((each) => !has(before, each));
  const files = etcFilesOf(context.paths, entry.id);
  const mode = parseNetworkMode(entry.definition.hostConfig.NetworkMode ?? "");
  try {
    const add = come.flatMap((endpoint) => ownHosts(entry.definition, endpoint));
    changeHosts(files, { remove: (address) => gone.includes(address), add });
    writeResolvConf(files, entry.definition, { mode, nameserver: sandbox.nameserver });
  } catch (error) {
    const fields = { container: shortId(entry.id), error: errorMessage(error) };
    context.log.warn("the files for a container's names could not be written", fields);
  }
}

function has(endpoints: readonly Endpoint[], { id }: Endpoint): boolean {
  return endpoints.some((each) => each.id === id);
}

function addressesOf({ address, ipv6 }: Endpoint): string[] {
  return ipv6 === undefined ? [address] : [address, ipv6.address];
}

/** After a rename: others find it by its new name. */
export function renameEndpoints(context: Pick<ContainerContext, "networks">, entry: ContainerEntry): void {
  for (const { networkId, networkName } of entry.endpoints) {
    context.networks.rename(entry.id, networkId, namesOn(entry, entry.definition.attachments[networkName] ?? {}));
  }
}

/** Makes the endpoints of a container that ran on like its row, after a crash between the two. */
export async function agree(context: ContainerContext, entry: ContainerEntry): Promise<void> {
  const mode = parseNetworkMode(entry.definition.hostConfig.NetworkMode ?? "");
  if (mode.kind !== "network" || entry.definition.config.NetworkDisabled === true) return;
  const { attachments } = entry.definition;
  const { networks, log } = context;
  const sandbox = networks.sandbox(entry.id);
  if (sandbox === undefined) return;
  const extra = sandbox.endpoints.filter(({ networkName }) => attachments[networkName] === undefined);
  const missing = Object.keys(attachments).filter(
    (name) => !sandbox.endpoints.some(({ networkName }) => networkName === name),
  );
  for (const name of [...extra.map(({ networkName }) => networkName), ...missing]) {
    const network = networks.find(name);
    try {
      if (network === undefined) attach(context, entry, without(entry.definition.attachments, name));
      else if (missing.includes(name)) await addEndpoint(context, entry, network);
      else await removeEndpoint(context, entry, network);
    } catch (error) {
      const fields = { container: shortId(entry.id), network: name, error: errorMessage(error) };
      log.warn("a container's networks could not be made as they should be", fields);
    }
  }
}
