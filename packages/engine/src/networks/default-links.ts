import { errorMessage, isError, SlipwayError, shortId } from "@slipway/base";
import type { ContainerContext } from "../containers/container-context.ts";
import { changeHosts, etcFilesOf } from "../containers/container-files.ts";
import type { ContainerEntry, ContainerIndex } from "../containers/container-index.ts";
import { isAlive } from "../containers/container-life.ts";
import type { HostConfig } from "../faces.ts";
import { parseNetworkMode } from "../settings/network-mode.ts";
import { type ContainerPort, exposedPorts } from "../settings/port-spec.ts";
import { parseLink } from "./links.ts";

/**
 * Links on the default network, which has no names: the other container stands in the hosts file, and its ports and
 * variables in the environment. On networks of the user's own links are names for the resolver (`links.ts`).
 */
export function decideLinks(index: ContainerIndex, hostConfig: HostConfig): Record<string, string> {
  const links = hostConfig.Links ?? [];
  const mode = parseNetworkMode(hostConfig.NetworkMode ?? "");
  if (links.length === 0) return {};
  if (mode.kind === "host" || mode.kind === "container") {
    const kind = mode.kind === "host" ? "host type networking" : "container type network";
    throw new SlipwayError(
      "invalid",
      `conflicting options: ${kind} can't be used with links. This would result in undefined behavior`,
    );
  }
  if (mode.kind === "network" && mode.name !== "bridge") return {};
  return Object.fromEntries(links.map((text) => [parseLink(text).alias, linkedTo(index, parseLink(text).container)]));
}

function linkedTo(index: ContainerIndex, name: string): string {
  try {
    const other = index.resolve(name);
    if (other.definition.hostConfig.NetworkMode === "host") {
      throw new SlipwayError(
        "invalid",
        "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
      );
    }
    return other.id;
  } catch (error) {
    if (!isError(error, "not-found")) throw error;
    throw new SlipwayError("invalid", `could not get container for ${name}: ${error.message}`, {
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint, details: error.details }),
    });
  }
}

/** Forgets the link of a container named `parent` to whom it knows as `alias`. Throws `not-found`. */
export function removeLink(context: ContainerContext, parent: string, alias: string): void {
  const entry = context.index.resolve(parent);
  const { [alias]: id, ...links } = entry.definition.links ?? {};
  if (id === undefined) throw new SlipwayError("not-found", `No such link: /${entry.name}/${alias}`);
  context.index.redefine(entry, { ...entry.definition, links });
  if (isAlive(entry.state.status)) {
    changeHosts(etcFilesOf(context.paths, entry.id), { remove: (_, names) => names[0] === alias });
  }
}

interface Linked {
  readonly alias: string;
  readonly other: ContainerEntry;
  readonly address: string;
}

/** The running containers that one is linked to. Throws `conflict` for one that does not run. */
function linked(context: ContainerContext, entry: ContainerEntry): Linked[] {
  return Object.entries(entry.definition.links ?? {}).flatMap(([alias, id]) => {
    const other = context.index.get(id);
    // Removed since: Docker forgets the link too.
    if (other === undefined) return [];
    if (!isAlive(other.state.status)) {
      throw new SlipwayError(
        "conflict",
        `Cannot link to a non running container: /${other.name} AS /${entry.name}/${alias}`,
        {
          hint: `Start it first: docker start ${other.name}`,
        },
      );
    }
    const address = addressOf(other);
    if (address === undefined) {
      throw new SlipwayError("invalid", `Cannot link to /${other.name}, as it does not belong to the default network`);
    }
    return [{ alias, other, address }];
  });
}

function addressOf(entry: ContainerEntry): string | undefined {
  return entry.endpoints.find(({ networkName }) => networkName === "bridge")?.address;
}

export function linkedHosts(context: ContainerContext, entry: ContainerEntry): string[] {
  return linked(context, entry).map(hostsLine);
}

function hostsLine({ alias, other, address }: Linked): string {
  return `${address}\t${[...new Set([alias, other.definition.config.Hostname ?? "", other.name])].join(" ")}`;
}

/** A container has a new address: running ones that are linked to it learn it. Their files are not its own trouble: it runs. */
export function tellLinkers(context: ContainerContext, other: ContainerEntry): void {
  const address = addressOf(other);
  if (address === undefined) return;
  for (const entry of context.index.all()) {
    if (entry.definition.links === undefined || !isAlive(entry.state.status)) continue;
    for (const [alias, id] of Object.entries(entry.definition.links)) {
      if (id !== other.id) continue;
      const files = etcFilesOf(context.paths, entry.id);
      const add = [hostsLine({ alias, other, address })];
      try {
        changeHosts(files, { remove: (_, names) => names[0] === alias, add });
      } catch (error) {
        const fields = { container: shortId(entry.id), error: errorMessage(error) };
        context.log.warn("the hosts file of a linked container could not be changed", fields);
      }
    }
  }
}

/** Docker's variables of links: `DB_PORT_5432_TCP_ADDR` and its kin. */
export function linkedEnvironment(context: ContainerContext, entry: ContainerEntry): string[] {
  return linked(context, entry).flatMap((link) => variablesOf(entry, link));
}

/** The same for a process that joins a container that runs: what it is linked to may have ended meanwhile. */
export function linkedNow(context: ContainerContext, entry: ContainerEntry): string[] {
  return entry.definition.links === undefined
    ? []
    : running(context, entry).flatMap((link) => variablesOf(entry, link));
}

function running(context: ContainerContext, entry: ContainerEntry): Linked[] {
  return Object.entries(entry.definition.links ?? {}).flatMap(([alias, id]) => {
    const other = context.index.get(id);
    const address = other === undefined ? undefined : addressOf(other);
    return other === undefined || address === undefined ? [] : [{ alias, other, address }];
  });
}

function variablesOf(entry: ContainerEntry, { alias, other, address }: Linked): string[] {
  const { config, hostConfig } = other.definition;
  const prefix = alias.toUpperCase().replaceAll("-", "_");
  const ports = exposedPorts(config, hostConfig).sort(tcpFirst);
  const url = ({ port, protocol }: ContainerPort): string => `${protocol}://${address}:${port}`;
  const [first] = ports;
  const inherited = (config.Env ?? []).filter((each) => !/^(PATH|HOME)=/.test(each) && each.includes("="));
  return [
    ...(first === undefined ? [] : [`${prefix}_PORT=${url(first)}`]),
    ...ports.flatMap((port) => {
      const name = `${prefix}_PORT_${port.port}_${port.protocol.toUpperCase()}`;
      return [
        `${name}=${url(port)}`,
        `${name}_ADDR=${address}`,
        `${name}_PORT=${port.port}`,
        `${name}_PROTO=${port.protocol}`,
      ];
    }),
    `${prefix}_NAME=/${entry.name}/${alias}`,
    ...inherited.map((each) => `${prefix}_ENV_${each}`),
  ];
}

function tcpFirst(one: ContainerPort, two: ContainerPort): number {
  if (one.protocol !== two.protocol) return one.protocol === "tcp" ? -1 : two.protocol === "tcp" ? 1 : 0;
  return one.port - two.port;
}
