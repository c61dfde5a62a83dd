import { existsSync } from "node:fs";
import { hostname as hostName } from "node:os";
import { randomId, Scope, SlipwayError, shortId } from "@slipway/base";
import { formatPlatform, hostPlatform, parsePlatform, platformMatches } from "@slipway/oci";
import { cgroupsPath, findRuntime } from "@slipway/runtime";
import type { Image } from "@slipway/store";
import type { ContainerConfig, CreateContainer, HostConfig } from "../faces.ts";
import { decideMounts } from "../mounts/container-mounts.ts";
import { decideAttachments } from "../networks/attachments.ts";
import { decideLinks } from "../networks/default-links.ts";
import { commandOf, mergeConfig } from "../settings/config-merge.ts";
import { checkConfig, checkHostConfig, completeHostConfig } from "../settings/host-config.ts";
import { applicableLimits } from "../settings/limits.ts";
import { parseNetworkMode } from "../settings/network-mode.ts";
import { wishedPorts } from "../settings/port-spec.ts";
import { readSecurityOptions } from "../settings/security-options.ts";
import { type ContainerContext, publishContainerEvent } from "./container-context.ts";
import type { ContainerEntry } from "./container-index.ts";
import { generateName, parseContainerName } from "./container-name.ts";
import type { ContainerDefinition } from "./container-table.ts";

/**
 * Makes a container: everything is checked and decided here, so that its start has little left to do. Throws `invalid`,
 * `not-found` (image, network, container to share with) and `conflict` (name).
 */
export async function createContainer(
  context: ContainerContext,
  request: CreateContainer,
): Promise<{ readonly entry: ContainerEntry; readonly warnings: readonly string[] }> {
  const name = request.name === undefined || request.name === "" ? undefined : parseContainerName(request.name);
  if (name !== undefined) context.index.assertFree(name);
  const platform = request.platform ? parsePlatform(request.platform) : undefined;
  const image = context.store.images.resolve(request.config.Image, platform);
  const wanted = completeHostConfig(request.hostConfig, context.cgroupVersion);
  const merged = mergeConfig(request.config, image.config.config);
  check(context, merged, wanted);
  const { limits: hostConfig, warnings } = applicableLimits(wanted, context.abilities);
  const networks = attachments(context, hostConfig, request.networks);
  const links = decideLinks(context.index, hostConfig);

  const id = randomId();
  const config = withHostname(context, merged, hostConfig, id);
  const top = image.layers.at(-1);
  await using undo = new Scope();
  const lease = undo.use(context.store.leases.open(`create container ${shortId(id)}`));
  const isMade = (): boolean => context.index.get(id) !== undefined;
  const mounts = await decideMounts(context, { config, hostConfig, top, undo, isMade });
  const writable = await context.store.layers.prepare(top, lease, { persistent: true });
  undo.defer(async () => {
    if (!isMade()) await context.store.layers.discard(writable);
  });

  const definition: ContainerDefinition = {
    id,
    created: context.now(),
    imageId: image.id,
    config,
    hostConfig,
    attachments: networks,
    ...(Object.keys(links).length > 0 ? { links } : {}),
    ...commandOf(config),
    mounts,
    writableId: writable.id,
  };
  const entry = context.index.create(definition, name ?? generateName((each) => context.index.isTaken(each)));
  entry.writable = writable;
  publishContainerEvent(context, entry, "create");
  return {
    entry,
    warnings: [
      ...warningsOf(image, request.platform),
      ...warnings,
      ...portWarnings(hostConfig),
      ...securityWarnings(hostConfig),
    ],
  };
}

function check(context: ContainerContext, config: ContainerConfig, hostConfig: HostConfig): void {
  checkConfig(config);
  checkHostConfig(hostConfig);
  wishedPorts(config, hostConfig);
  readSecurityOptions(hostConfig.SecurityOpt ?? []);
  cgroupsPath("check", hostConfig.CgroupParent || undefined);
  // One runtime runs all containers; another name must not be taken for it.
  if (hostConfig.Runtime === "crun" && !findRuntime().endsWith("/crun")) {
    throw new SlipwayError("invalid", "unknown or invalid runtime name: crun", {
      hint: "runc is installed, and runs all containers of this engine.",
    });
  }
  for (const mode of [hostConfig.PidMode, hostConfig.IpcMode]) {
    // A container to share with must be known now; whether it runs is asked at the start.
    if (mode?.startsWith("container:")) context.index.resolve(mode.slice("container:".length));
  }
}

function attachments(
  context: ContainerContext,
  hostConfig: HostConfig,
  networks: CreateContainer["networks"],
): ContainerDefinition["attachments"] {
  const mode = parseNetworkMode(hostConfig.NetworkMode ?? "");
  if (mode.kind === "container") context.index.resolve(mode.container);
  return decideAttachments(context.networks, hostConfig, networks);
}

/** The host's name with the host's UTS namespace, that of the container whose network is shared, else the short ID. */
function withHostname(
  context: ContainerContext,
  config: ContainerConfig,
  hostConfig: HostConfig,
  id: string,
): ContainerConfig {
  const mode = parseNetworkMode(hostConfig.NetworkMode ?? "");
  if (config.Hostname) {
    if (hostConfig.UTSMode === "host") {
      throw new SlipwayError("invalid", "conflicting options: hostname and the UTS mode");
    }
    if (mode.kind === "container") {
      throw new SlipwayError("invalid", "conflicting options: hostname and the network mode");
    }
    return config;
  }
  if (mode.kind === "container") {
    const shared = context.index.resolve(mode.container).definition.config;
    return { ...config, Hostname: shared.Hostname ?? "" };
  }
  return { ...config, Hostname: mode.kind === "host" || hostConfig.UTSMode === "host" ? hostName() : shortId(id) };
}

function portWarnings(hostConfig: HostConfig): string[] {
  const published = Object.keys(hostConfig.PortBindings ?? {}).length > 0;
  return hostConfig.NetworkMode === "host" && published
    ? ["Published ports are discarded when using host network mode"]
    : [];
}

function securityWarnings(hostConfig: HostConfig): string[] {
  const { apparmor } = readSecurityOptions(hostConfig.SecurityOpt ?? []);
  if (apparmor === undefined || apparmor === "unconfined" || existsSync("/sys/kernel/security/apparmor")) return [];
  return [`AppArmor is not enabled on this host. The profile '${apparmor}' is discarded.`];
}

function warningsOf(image: Image, platform: string | undefined): string[] {
  const host = hostPlatform();
  if (platform !== undefined || platformMatches(host, image.config)) return [];
  return [
    `The requested image's platform (${formatPlatform(image.config)}) does not match the detected host platform (${formatPlatform(host)}) and no specific platform was requested`,
  ];
}
