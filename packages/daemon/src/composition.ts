import { mkdirSync } from "node:fs";
import { describeError, type Logger, type Scope } from "@slipway/base";
import { BUILD_MIGRATIONS, type CacheRecord, createBuilder } from "@slipway/build";
import { createEngine, engineMigrations } from "@slipway/engine";
import { networkMigrations, openNetworks } from "@slipway/network";
import { proxiesOf, RegistryClient, registryMigrations } from "@slipway/registry";
import { connectSupervisor } from "@slipway/runtime";
import type { Backends } from "@slipway/server";
import { openStore } from "@slipway/store";
import type { DaemonConfig } from "./config.ts";
import { RuntimeFacts } from "./runtime-facts.ts";
import { selfCommand } from "./self-command.ts";
import { ENGINE_VERSION } from "./version.ts";

/**
 * Opens everything below the API, and makes it agree with what happened while no daemon ran. What undoes it goes to
 * `scope`, so that the end is the beginning backwards.
 */
export async function compose(config: DaemonConfig, log: Logger, scope: Scope): Promise<Backends> {
  mkdirSync(config.execRoot, { recursive: true, mode: 0o711 });
  const store = await openStore({
    root: config.dataRoot,
    log: log.with({ part: "store" }),
    migrations: [networkMigrations, engineMigrations, registryMigrations, BUILD_MIGRATIONS],
  });
  scope.defer(() => store.close());
  const networks = openNetworks({
    database: store.database,
    execRoot: config.execRoot,
    bridge: config.bridge,
    ...(config.bip !== undefined && { bip: config.bip }),
    logger: log.with({ part: "network" }),
  });
  scope.defer(() => networks.close());
  const supervisorLog = log.with({ part: "supervisor" });
  const supervisor = connectSupervisor({
    execRoot: config.execRoot,
    command: [...selfCommand(), "supervisor"],
    onError: (error) => supervisorLog.error("unexpected failure", { error: describeError(error) }),
  });
  scope.defer(() => supervisor.close());
  const registries = new RegistryClient({
    store,
    settings: { ...config.registries, proxies: proxiesOf(process.env), userAgent: `slipway/${ENGINE_VERSION.version}` },
  });
  scope.defer(() => registries.close());
  const builder = await createBuilder({
    store,
    networks,
    // The engine comes later; nothing is built before it.
    remoteImages: { resolve: (name, options) => engine.registries.resolve(name, options) },
    paths: { build: store.paths.build, execRoot: config.execRoot },
    log: log.with({ part: "build" }),
  });
  scope.defer(() => builder.close());
  const runtime = new RuntimeFacts();
  const engine = createEngine<CacheRecord>({
    store,
    supervisor,
    networks,
    registries,
    paths: { execRoot: config.execRoot },
    log: log.with({ part: "engine" }),
    version: ENGINE_VERSION,
    runtime,
    cacheUsage: () => builder.usage(),
    planCache: (options) => builder.planPrune(options),
    pruneCache: (options) => builder.prune(options),
    trash: config.trash,
    logPolicy: config.log,
    debug: config.logLevel === "debug",
    registrySettings: config.registries,
  });
  scope.defer(() => engine.close({ stopContainers: !config.liveRestore, timeout: stopTimeout(config) }));
  await engine.restore();
  const {
    containers,
    execs,
    files,
    images,
    volumes,
    networks: networkService,
    registries: registryService,
    system,
  } = engine;
  return {
    containers,
    execs,
    files,
    images,
    volumes,
    networks: networkService,
    registries: registryService,
    builds: builder,
    prunes: engine.prunes,
    trash: engine.trash,
    system: withRuntime(system, runtime),
  };
}

/** The engine's system, which knows its runtime as soon as somebody asks for it. */
function withRuntime(system: Backends["system"], runtime: RuntimeFacts): Backends["system"] {
  return {
    async info() {
      await runtime.load();
      return await system.info();
    },
    version: () => system.version(),
    diskUsage: () => system.diskUsage(),
    events: (options) => system.events(options),
  };
}

/** Seconds a container gets to end by itself when the daemon takes it along: Docker's ten, or what a shutdown may take. */
function stopTimeout({ shutdownTimeout }: DaemonConfig): number {
  return shutdownTimeout < 0 ? 10 : Math.min(10, shutdownTimeout);
}
