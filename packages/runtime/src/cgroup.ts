import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";

const DEFAULT_ROOT = "/sys/fs/cgroup";

/** 2 when the unified hierarchy is mounted at the root, 1 for separate controllers (also with a unified one beside them). */
export function cgroupVersion(root: string = DEFAULT_ROOT): 1 | 2 {
  return existsSync(join(root, "cgroup.controllers")) ? 2 : 1;
}

/** The directories of one cgroup: one with version 2, else one for each controller that has it. */
export class Cgroup {
  readonly #root: string;
  readonly #path: string;
  readonly version: 1 | 2;

  /** `path` as in `linux.cgroupsPath`. */
  constructor(path: string, root: string = DEFAULT_ROOT) {
    this.#root = root;
    this.#path = path;
    this.version = cgroupVersion(root);
  }

  directory(controller: string): string {
    return this.version === 2 ? join(this.#root, this.#path) : join(this.#root, controller, this.#path);
  }

  directories(): string[] {
    if (this.version === 2) return [this.directory("")].filter((path) => existsSync(path));
    // `cpu` and `cpuacct` are often one hierarchy under two names: a directory that is gone is no failure.
    return readdirSync(this.#root)
      .map((controller) => this.directory(controller))
      .filter((path) => existsSync(path));
  }

  /** The pids in it, for `kill --all` and `top`. */
  processes(): number[] {
    const controllers = this.version === 2 ? [""] : ["pids", "memory", "devices", "freezer", "systemd"];
    for (const controller of controllers) {
      const text = readOptional(join(this.directory(controller), "cgroup.procs"));
      if (text !== undefined) return text.split("\n").filter(Boolean).map(Number);
    }
    return [];
  }

  /** How many processes the kernel killed for lack of memory. */
  oomKills(): number {
    const file = this.version === 2 ? "memory.events" : "memory.oom_control";
    return fieldOf(readOptional(join(this.directory("memory"), file)), "oom_kill") ?? 0;
  }

  /** Whether its processes stand still, or are about to. */
  isFrozen(): boolean {
    const state = this.version === 2 ? this.read("", "cgroup.freeze") : this.read("freezer", "freezer.state");
    return /^(1|FROZEN|FREEZING)/.test(state ?? "");
  }

  /** Removes it with the cgroups below. False if something still lives in it. */
  remove(): boolean {
    return this.directories().every(removeTree);
  }

  read(controller: string, file: string): string | undefined {
    return readOptional(join(this.directory(controller), file));
  }
}

function removeTree(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return true;
  }
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) removeTree(join(directory, entry.name));
    }
    rmdirSync(directory);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}

/** A number of a flat-keyed file (`key value` lines). */
export function fieldOf(text: string | undefined, key: string): number | undefined {
  const line = text?.split("\n").find((candidate) => candidate.startsWith(`${key} `));
  return line === undefined ? undefined : Number(line.slice(key.length + 1));
}
