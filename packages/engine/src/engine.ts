import { errorMessage, KeyedLock, type Logger, randomId, shortId } from "@slipway/base";
import type { Networks } from "@slipway/network";
import type { RegistryClient } from "@slipway/registry";
import {
  type CgroupAbilities,
  cgroupVersion,
  type ExitRecord,
  type LogPolicy,
  readCgroupAbilities,
  type Supervisor,
} from "@slipway/runtime";
import type { Root, Store } from "@slipway/store";
import type { ContainerContext } from "./containers/container-context.ts";
import { ContainerIndex } from "./containers/container-index.ts";
import { isAlive } from "./containers/container-life.ts";
import { ContainerPaths } from "./containers/container-paths.ts";
import { ContainerService } from "./containers/container-service.ts";
import { ContainerTable } from "./containers/container-table.ts";
import { ExecService } from "./containers/exec-service.ts";
import { HealthMonitor } from "./containers/health-monitor.ts";
import { EventJournal } from "./events/event-journal.ts";
import { EventLog } from "./events/event-log.ts";
import { FileService } from "./files/file-service.ts";
import { type ImageDependencies, ImageService } from "./images/image-service.ts";
import { RegistryService } from "./images/registry-service.ts";
import { NetworkService } from "./networks/network-service.ts";
import { PendingWork } from "./pending-work.ts";
import { PrunePlanner, type PrunePlannerParts } from "./prune/prune-plan.ts";
import { type PruneParts, PruneService } from "./prune/prune-service.ts";
import { restoreContainers } from "./restore.ts";
import { type SystemInfo, SystemService } from "./system-service.ts";
import { LastUses } from "./trash/last-uses.ts";
import type { TrashPolicy } from "./trash/trash-policy.ts";
import { TrashService } from "./trash/trash-service.ts";
import { recoverVolumes } from "./volumes/recover-volumes.ts";
import { VolumeService } from "./volumes/volume-service.ts";

export interface EngineOptions<CacheEntry> {
  /** Opened with the tables of `engineMigrations`. */
  readonly store: Store;
  readonly supervisor: Supervisor;
  readonly networks: Networks;
  readonly registries: RegistryClient;
  /** Absolute. Bundles lie below `execRoot`, what must survive a reboot in the store's root. */
  readonly paths: { readonly execRoot: string };
  readonly log: Logger;
  readonly version: { readonly version: string; readonly gitCommit: string; readonly buildTime: string };
  /** The OCI runtime, for `info`. */
  readonly runtime: { readonly name: string; readonly path: string; readonly version: string };
  /** The build cache's part of the disk usage; the engine knows nothing of builds. */
  readonly cacheUsage: () => Promise<readonly CacheEntry[]>;
  /** What pruning the build cache would remove. */
  readonly planCache: PrunePlannerParts["planCache"];
  readonly pruneCache: PruneParts["pruneCache"];
  /** What prunes keep to be brought back: a day unless given. */
  readonly trash?: TrashPolicy;
  /** For containers that do not ask for anything else; json-file, 10 MiB, 3 files unless given. */
  readonly logPolicy?: LogPolicy;
  readonly debug?: boolean;
  /** How registries are reached, for those who ask. */
  readonly registrySettings?: SystemInfo["registries"];
  /** What the kernel can limit, for tests of what it cannot. */
  readonly abilities?: CgroupAbilities;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export interface CloseOptions {
  readonly stopContainers?: boolean;
  /** Seconds for each container between its stop signal and its end by force. */
  readonly timeout?: number;
}

/** The engine's services. Each satisfies the interface of the same name that the HTTP server declares. */
export interface Engine<CacheEntry> {
  readonly containers: ContainerService;
  readonly execs: ExecService;
  readonly files: FileService;
  readonly images: ImageService;
  readonly volumes: VolumeService;
  readonly networks: NetworkService;
  readonly registries: RegistryService;
  readonly system: SystemService<CacheEntry>;
  readonly prunes: PruneService;
  readonly trash: TrashService;
  /** Where others announce what they did (a build, a daemon's reload). */
  readonly events: EventLog;
  /**
   * Makes database, supervisor, mounts and network agree after whatever happened while no daemon ran, then applies restart
   * policies. Call once, before the first request is answered.
   */
  restore(): Promise<void>;
  /** Resolves when nothing goes on that nobody waits for: clean-ups, starts by policies with the engine's start. */
  idle(): Promise<void>;
  /**
   * Ends the engine's own work; store, supervisor and networks are the caller's to close. Containers go on running unless
   * `stopContainers`. Clean-ups under way are finished.
   */
  close(options?: CloseOptions): Promise<void>;
}

/** Puts the services together. It changes nothing before `restore`. */
export function createEngine<CacheEntry>(options: EngineOptions<CacheEntry>): Engine<CacheEntry> {
  const { store, supervisor, networks, log } = options;
  const now = options.now ?? Date.now;
  const events = new EventLog(new EventJournal(store.database, log), now);
  const index = new ContainerIndex(new ContainerTable(store.database));
  const version = cgroupVersion();
  const volumes = new VolumeService({
    database: store.database,
    root: store.paths.volumes,
    trash: store.paths.trash,
    restorables: store.restorables,
    events,
    usersOf: (name) => index.all().flatMap((entry) => (mountsVolume(entry, name) ? [entry.id] : [])),
    now,
  });
  const context: ContainerContext = {
    store,
    supervisor,
    networks,
    paths: new ContainerPaths(store.paths, options.paths.execRoot),
    log,
    events,
    volumes,
    index,
    lock: new KeyedLock(),
    cleanups: new PendingWork(),
    logPolicy: options.logPolicy,
    cgroupVersion: version,
    abilities: options.abilities ?? readCgroupAbilities(),
    now,
  };
  store.addRoots("engine", () => containerRoots(index));
  const execs = new ExecService(context);
  const containers = new ContainerService(context, new HealthMonitor(context, execs));
  const starts = new PendingWork();
  const restored = Promise.withResolvers<ReadonlySet<string>>();
  supervisor.onExit(async (exit) => {
    // Ends that are delivered before everything has been made to agree wait; those that were recorded then are known.
    const known = await restored.promise;
    if (known.has(exitKey(exit))) return;
    if (exit.execId !== undefined) return execs.handleExit(exit);
    await containers.handleExit(exit);
    execs.handleContainerExit(exit.id);
  });
  const imageParts: ImageDependencies = {
    store,
    events,
    usersOf: (id) =>
      index
        .all()
        .filter(
          ({ definition }) => definition.imageId === id || definition.mounts.some(({ imageId }) => imageId === id),
        )
        .map((entry) => ({ id: entry.id, running: isAlive(entry.state.status) })),
    now,
  };
  const images = new ImageService(imageParts);
  const system = new SystemService<CacheEntry>({
    ...{ store, events, containers, images, volumes, cgroupVersion: version },
    abilities: context.abilities,
    cacheUsage: options.cacheUsage,
    id: engineId(store),
    version: options.version,
    runtime: options.runtime,
    debug: options.debug ?? false,
    loggingDriver: context.logPolicy?.driver ?? "json-file",
    registries: options.registrySettings ?? { mirrors: [], insecureRegistries: [] },
  });
  const networkService = new NetworkService(context);
  const lastUses = new LastUses(store.database);
  events.subscribe((event) => lastUses.observe(event, index));
  const trash = new TrashService({ store, volumes, events, log, policy: options.trash ?? {}, now });
  const planner = new PrunePlanner({
    ...{ context, volumes, images: imageParts, networks: networkService, lastUses },
    ...{ planCache: options.planCache, trashRoom: () => trash.room() },
  });
  const idle = async (): Promise<void> => {
    await starts.idle();
    await context.cleanups.idle();
  };
  return {
    ...{ containers, execs, images, volumes, system, events },
    files: new FileService(context, containers),
    registries: new RegistryService({ store, events, client: options.registries }),
    networks: networkService,
    prunes: new PruneService({
      ...{ planner, trash, containers, networks: networkService, volumes, images, pruneCache: options.pruneCache },
    }),
    trash,
    restore: async () => {
      // Before directories that no row names are taken for volumes.
      await trash.start();
      lastUses.tidy();
      restored.resolve(await restore(context, { containers, execs, starts }));
    },
    idle,
    close: async (options = {}) => {
      trash.stop();
      await starts.idle();
      await closeEngine(context, containers, options);
      await idle();
    },
  };
}

function mountsVolume(
  entry: { readonly definition: { readonly mounts: readonly { readonly name?: string }[] } },
  name: string,
): boolean {
  return entry.definition.mounts.some((mount) => mount.name === name);
}

/** Images of containers stay, named or not. */
function* containerRoots(index: ContainerIndex): Generator<Root> {
  for (const entry of index.all()) {
    const reason = `container ${entry.name}`;
    yield { kind: "image", id: entry.definition.imageId, reason };
    for (const { imageId } of entry.definition.mounts)
      if (imageId !== undefined) yield { kind: "image", id: imageId, reason };
  }
}

/** A name for this data root that lasts. */
function engineId(store: Store): string {
  const { database } = store;
  const read = database.query<{ value: string }, []>("SELECT value FROM engine_facts WHERE key = 'id'");
  database.query("INSERT OR IGNORE INTO engine_facts VALUES ('id', ?)").run(crypto.randomUUID());
  return read.get()?.value ?? randomId();
}

/** Returns the ends that were recorded. */
async function restore(
  context: ContainerContext,
  parts: { readonly containers: ContainerService; readonly execs: ExecService; readonly starts: PendingWork },
): Promise<ReadonlySet<string>> {
  const { containers, starts } = parts;
  recoverVolumes(context.store.database, context.store.paths.volumes, context.now());
  const { wanted, exits, execs } = await restoreContainers(context);
  parts.execs.restore(execs, exits);
  containers.watchRunning();
  // Not waited for: the first request is answered while they come up.
  for (const { entry, fresh } of wanted) {
    const start = containers.startByPolicy(entry, { fresh }).catch((error) => {
      const fields = { container: shortId(entry.id), error: errorMessage(error) };
      context.log.warn("a container could not be started with the engine", fields);
    });
    starts.add(start);
  }
  return new Set(exits.map(exitKey));
}

function exitKey({ id, execId = "", finishedAt }: ExitRecord): string {
  return `${id} ${execId} ${finishedAt}`;
}

async function closeEngine(
  context: ContainerContext,
  containers: ContainerService,
  options: CloseOptions,
): Promise<void> {
  containers.stopWatching();
  if (options.stopContainers === true) {
    const running = context.index.all().filter(({ state }) => isAlive(state.status) || state.status === "restarting");
    const timeout = options.timeout ?? 10;
    await Promise.all(running.map((entry) => containers.shutDown(entry.id, timeout)));
  }
}
