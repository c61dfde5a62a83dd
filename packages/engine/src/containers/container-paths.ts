import { dirname, join } from "node:path";
import type { StorePaths } from "@slipway/store";

/** Where a container's files lie: this file owns the layout. */
export class ContainerPaths {
  readonly #containers: string;
  readonly #bundles: string;
  /** Of the supervisor, too. */
  readonly execRoot: string;

  constructor(store: Pick<StorePaths, "containers">, execRoot: string) {
    this.#containers = store.containers;
    this.execRoot = execRoot;
    this.#bundles = join(execRoot, "containers");
  }

  /** Directory of all bundles. Gone after a reboot, made again by each start. */
  get bundles(): string {
    return this.#bundles;
  }

  /** Directory of views of stopped containers' files, each for as long as somebody reads it. */
  get views(): string {
    return join(this.execRoot, "views");
  }

  /** Directory of the parts of volumes and images that running containers mount, a directory each. */
  get allSubpaths(): string {
    return join(this.execRoot, "subpaths");
  }

  /** Where the parts of volumes and images are mounted that a container mounts. */
  subpaths(id: string): string {
    return join(this.allSubpaths, id);
  }

  /** tmpfs of a container that shares its memory with others; in its bundle. */
  sharedMemory(id: string): string {
    return join(this.#bundles, id, "shm");
  }

  /** Directory of what outlives a reboot: logs, and what containers can write to. */
  get containers(): string {
    return this.#containers;
  }

  /** Directory of the program that is bound into containers with an init: not below /run, which may be noexec. */
  get init(): string {
    return join(dirname(this.#containers), "init");
  }

  home(id: string): string {
    return join(this.#containers, id);
  }

  /** config.json and the supervisor's files. */
  bundle(id: string): string {
    return join(this.#bundles, id);
  }

  /** The newest of its log files; empty without logs. */
  log(id: string, driver: string): string {
    if (driver === "none") return "";
    return join(this.#containers, id, `${id}-${driver === "local" ? "local" : "json"}.log`);
  }

  /** Like the two below, bound into the container, which can fill it: so it lies where its layers lie, not in memory at /run. */
  hostname(id: string): string {
    return join(this.#containers, id, "hostname");
  }

  hosts(id: string): string {
    return join(this.#containers, id, "hosts");
  }

  resolvConf(id: string): string {
    return join(this.#containers, id, "resolv.conf");
  }
}
