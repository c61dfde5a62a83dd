import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@slipway/base";
import { type Networks, networkMigrations, openNetworks } from "@slipway/network";
import { RegistryClient, registryMigrations } from "@slipway/registry";
import { connectSupervisor, type Supervisor } from "@slipway/runtime";
import { openStore, type Store } from "@slipway/store";
import { mounts, unmountBelow } from "@slipway/sys";
import { BASE_IMAGE, baseImageArchive } from "@slipway/testkit";
import { createEngine, type Engine } from "../engine.ts";
import type { ContainerConfig, CreateContainer, EngineEvent, HostConfig } from "../faces.ts";
import { engineMigrations } from "../schema.ts";
import type { TrashPolicy } from "../trash/trash-policy.ts";

/** An engine of its own in directories of its own. */
export interface Fixture extends AsyncDisposable {
  readonly engine: Engine<never>;
  readonly store: Store;
  readonly root: string;
  readonly execRoot: string;
  /** `type action` of everything announced so far. */
  readonly events: EngineEvent[];
  /** Ends the engine as a shutdown does and opens it again on the same directories. */
  reopen(meanwhile?: () => Promise<void>): Promise<Fixture>;
  /** Ends the engine and leaves everything as it is. */
  close(): Promise<void>;
}

export interface FixtureOptions {
  readonly supervisor: (execRoot: string) => Supervisor;
  readonly root?: string;
  readonly execRoot?: string;
  readonly bridge?: string;
  readonly trash?: TrashPolicy;
  readonly now?: () => number;
}

let count = 0;

/** Opens one, with the base image in it. */
export async function openFixture(options: FixtureOptions): Promise<Fixture> {
  const root = options.root ?? mkdtempSync(join(tmpdir(), "slipway-engine-"));
  const execRoot = options.execRoot ?? mkdtempSync(join(tmpdir(), "slipway-exec-"));
  const store = await openStore({ root, migrations: [networkMigrations, engineMigrations, registryMigrations] });
  const registries = new RegistryClient({ store });
  const bridge = options.bridge ?? `slwe${process.pid % 100_000}${count++ % 10}`;
  const networks = openNetworks({ database: store.database, execRoot, bridge, linger: 0 });
  const supervisor = options.supervisor(execRoot);
  const engine = createEngine<never>({
    ...{ store, supervisor, networks, registries, paths: { execRoot }, log: silentLogger },
    version: { version: "0", gitCommit: "", buildTime: "" },
    runtime: { name: "runc", path: "/usr/sbin/runc", version: "1" },
    cacheUsage: async () => [],
    planCache: () => ({ items: [], ownBytes: 0, owner: "build cache", roots: [] }),
    pruneCache: async () => ({ removed: [], freedBytes: 0 }),
    ...(options.trash && { trash: options.trash }),
    ...(options.now && { now: options.now }),
  });
  const events: EngineEvent[] = [];
  engine.events.subscribe((event) => events.push(event));
  await engine.restore();
  if (store.images.find(BASE_IMAGE) === undefined) await loadBase(engine);
  const close = async (stopContainers: boolean): Promise<void> => {
    await engine.close({ stopContainers, timeout: 0 });
    await closeParts(supervisor, networks, store);
  };
  return {
    ...{ engine, store, root, execRoot, events },
    reopen: async (meanwhile) => {
      await close(false);
      await meanwhile?.();
      return openFixture({ ...options, root, execRoot, bridge });
    },
    close: () => close(false),
    [Symbol.asyncDispose]: async () => {
      await close(true);
      await untilGone(join(execRoot, "supervisor/rpc.sock"));
      for (const directory of [root, execRoot]) {
        unmountBelow(directory);
        rmSync(directory, { recursive: true, force: true });
      }
    },
  };
}

/** A supervisor without work ends by itself; its directory must be there until then. */
async function untilGone(socket: string): Promise<void> {
  for (let attempt = 0; existsSync(socket) && attempt < 300; attempt++) await Bun.sleep(10);
}

async function closeParts(supervisor: Supervisor, networks: Networks, store: Store): Promise<void> {
  await supervisor.close();
  await networks.close();
  await store.close();
}

async function loadBase(engine: Engine<never>): Promise<void> {
  await engine.images.load(streamOf(baseImageArchive()), {
    signal: new AbortController().signal,
    onProgress: () => {},
  });
}

export function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}

/** A request for a container of the base image. */
export function containerOf(
  command: readonly string[],
  hostConfig: HostConfig = {},
  config: Partial<ContainerConfig> = {},
): CreateContainer {
  return { config: { Image: BASE_IMAGE, Cmd: command, ...config }, hostConfig, networks: {} };
}

/** The real one, as a process of its own. */
export function realSupervisor(execRoot: string): Supervisor {
  const program = join(import.meta.dir, "../../../runtime/src/supervisor-main.ts");
  return connectSupervisor({ execRoot, command: [process.execPath, program] });
}

/** A supervisor for tests that start nothing. */
export function idleSupervisor(): Supervisor {
  const refuse = (): Promise<never> => Promise.reject(new Error("this test starts nothing"));
  return {
    ...{ start: refuse, exec: refuse, attach: refuse, signal: refuse, resize: refuse, pause: refuse, resume: refuse },
    state: async () => ({ running: [], exits: [] }),
    onExit: () => {},
    delete: async () => {},
    close: async () => {},
  };
}

/** The mounts that lie below a directory. */
export function mountsBelow(directory: string): string[] {
  return mounts()
    .map(({ target }) => target)
    .filter((target) => target.startsWith(`${directory}/`));
}
