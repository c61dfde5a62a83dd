import { rmSync } from "node:fs";
import { errorMessage, isError, Scope, SlipwayError } from "@slipway/base";
import { allowRealtime, buildSpec, cgroupsPath, installInit, type StartRequest, writeSpec } from "@slipway/runtime";
import { mountOverlay } from "@slipway/sys";
import { prepareMounts } from "../mounts/runtime-mounts.ts";
import { type Connection, connectContainer } from "../networks/container-connection.ts";
import { linkedEnvironment, linkedHosts, tellLinkers } from "../networks/default-links.ts";
import { mergeEnv } from "../settings/config-merge.ts";
import { namespaceOf, specInput, userInRoot } from "../settings/container-spec.ts";
import { parseLogConfig } from "../settings/log-config.ts";
import { joined, prepareIpc } from "../settings/namespace-sharing.ts";
import { parseNetworkMode } from "../settings/network-mode.ts";
import { announceMounts } from "../volumes/volume-events.ts";
import { type ContainerContext, publishContainerEvent } from "./container-context.ts";
import { announceNetworks, isVolatile, removeEntry, tearDown } from "./container-end.ts";
import { type EtcFiles, etcFilesOf, etcMounts, hostGateway, makeBundle, writeEtcFiles } from "./container-files.ts";
import type { ContainerEntry } from "./container-index.ts";
import { next } from "./container-life.ts";

/** A start that fails for a reason without an exit code of its own, as Docker counts it. */
const START_FAILED = 128;
const SIGKILL = 9;

/**
 * Runs a container. The caller holds its lock. `fresh` when somebody asked for it, not the restart policy. Throws what the
 * state machine throws, and the runtime's reason when the process could not be started; then everything is undone.
 */
export async function startContainer(
  context: ContainerContext,
  entry: ContainerEntry,
  options: { readonly fresh: boolean },
): Promise<void> {
  // Refuses what is running, paused or on its way out before anything is made.
  next(entry.state, { kind: "started", pid: 0, at: 0, fresh: options.fresh }, `container ${entry.id}`);
  await entry.teardown;
  const running = Promise.withResolvers<void>();
  entry.starting = running.promise;
  try {
    await launch(context, entry, (pid) => {
      const event = { kind: "started", pid, at: context.now(), fresh: options.fresh } as const;
      context.index.apply(entry, event, { manuallyStopped: false });
    });
    tellLinkers(context, entry);
    announceMounts(context, entry);
    announceNetworks(context, entry, "connect");
    publishContainerEvent(context, entry, "start");
  } catch (error) {
    const exitCode = exitCodeOf(error);
    const failure = { kind: "start-failed", exitCode, error: errorMessage(error), at: context.now() } as const;
    if (entry.definition.hostConfig.AutoRemove === true) removeEntry(context, entry, { volumes: true });
    else context.index.apply(entry, failure);
    throw error;
  } finally {
    entry.starting = undefined;
    // An exit that came meanwhile goes on from here.
    running.resolve();
  }
}

function exitCodeOf(error: unknown): number {
  const code = isError(error) ? error.details.exitCode : undefined;
  return typeof code === "number" ? code : START_FAILED;
}

/** Everything of a start, until `commit` has been told the process ID; if anything fails, all of it is undone. */
async function launch(context: ContainerContext, entry: ContainerEntry, commit: (pid: number) => void): Promise<void> {
  await using undo = new Scope();
  // The network is made while root and files are prepared; neither needs the other.
  const connecting = connectContainer(context, entry);
  const connected = connecting.catch(() => {});
  undo.defer(async () => {
    await connected;
    await tearDown(context, entry);
  });
  await prepareBundle(context, entry, connecting);
  const { pid } = await context.supervisor.start(startRequest(context, entry));
  undo.defer(() => context.supervisor.signal(entry.id, SIGKILL, { all: true }));
  commit(pid);
  undo.disarm();
}

/** Mounts the root, waits for the network, and writes what the runtime reads. */
async function prepareBundle(
  context: ContainerContext,
  entry: ContainerEntry,
  connecting: Promise<Connection>,
): Promise<void> {
  const { definition, id } = entry;
  const { config, hostConfig } = definition;
  const rootPath = await mountRoot(context, entry);
  makeBundle(context.paths, id);
  const user = userInRoot(rootPath, config.User ?? "", hostConfig.GroupAdd ?? []);
  const mounts = await prepareMounts(context, entry);
  const network = await connecting;
  entry.endpoints = network.endpoints;
  entry.namespacePath = network.ownNamespace;
  const files = etcFiles(context, entry, network);
  const taken = new Set(definition.mounts.map(({ destination }) => destination));
  const ipc = prepareIpc(context, entry);
  if (hostConfig.CpuRealtimeRuntime) allowRealtime(cgroupsPath(id, hostConfig.CgroupParent || undefined));
  const spec = buildSpec(
    specInput(definition, {
      rootPath,
      user,
      ...(hostConfig.Init === true ? { init: installInit(context.paths.init) } : {}),
      ...(ipc.none ? { shmSize: 0 } : {}),
      mounts: [...etcMounts(files, taken, hostConfig.ReadonlyRootfs === true), ...ipc.mounts, ...mounts],
      namespaces: {
        network: network.namespace,
        ipc: ipc.namespace,
        pid: namespaceOf(hostConfig.PidMode, (name) => joined(context, name, "pid")),
        uts: hostConfig.UTSMode === "host" || hostConfig.NetworkMode === "host" ? "host" : "private",
        cgroup: hostConfig.CgroupnsMode === "host" ? "host" : "private",
      },
    }),
  );
  const size = consoleSizeOf(entry);
  // In the document the terminal has its size before the process can ask; a resize afterwards comes too late for that.
  const env = mergeEnv(spec.process.env ?? [], linkedEnvironment(context, entry));
  const sized = { ...spec.process, env, ...(size && { consoleSize: { height: size.rows, width: size.columns } }) };
  writeSpec(context.paths.bundle(id), { ...spec, process: sized });
}

function consoleSizeOf({ definition }: ContainerEntry): { rows: number; columns: number } | undefined {
  const [rows = 0, columns = 0] = definition.hostConfig.ConsoleSize ?? [];
  return definition.config.Tty === true && rows > 0 && columns > 0 ? { rows, columns } : undefined;
}

function startRequest(context: ContainerContext, entry: ContainerEntry): StartRequest {
  const { config, hostConfig } = entry.definition;
  const consoleSize = consoleSizeOf(entry);
  return {
    id: entry.id,
    bundle: context.paths.bundle(entry.id),
    terminal: config.Tty === true,
    openStdin: config.OpenStdin === true,
    stdinOnce: config.StdinOnce === true,
    ...(consoleSize && { consoleSize }),
    log: parseLogConfig(hostConfig.LogConfig, context.logPolicy),
    logDirectory: context.paths.home(entry.id),
  };
}

/** The container's layers as one tree. */
async function mountRoot(context: ContainerContext, entry: ContainerEntry): Promise<string> {
  const { store } = context;
  const writable = entry.writable ?? store.layers.writable(entry.definition.writableId);
  if (writable === undefined) {
    throw new SlipwayError("corrupt", `the writable layer of container ${entry.id} is missing`);
  }
  entry.writable = writable;
  const volatile = isVolatile(entry);
  // The mark of an earlier volatile mount, after which overlayfs refuses the next.
  if (volatile && entry.state.startedAt !== undefined)
    rmSync(`${writable.work}/work/incompat`, { recursive: true, force: true });
  mountOverlay({
    lowers: writable.lowers,
    upper: writable.upper,
    work: writable.work,
    target: writable.merged,
    userxattr: store.userxattr,
    volatile,
  });
  return writable.merged;
}

function etcFiles(context: ContainerContext, entry: ContainerEntry, network: Connection): EtcFiles {
  const mode = parseNetworkMode(entry.definition.hostConfig.NetworkMode ?? "");
  if (mode.kind === "container") return etcFilesOf(context.paths, context.index.resolve(mode.container).id);
  const files = etcFilesOf(context.paths, entry.id);
  const { endpoints, nameserver } = network;
  const gateway = hostGateway(context.networks, endpoints);
  const linked = linkedHosts(context, entry);
  writeEtcFiles(files, entry.definition, { mode, endpoints, nameserver, gateway, linked });
  return files;
}
