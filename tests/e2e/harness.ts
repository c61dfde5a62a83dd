import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { SlipwayError } from "@slipway/base";
import { baseImageArchive } from "@slipway/testkit";

const REPOSITORY = join(import.meta.dir, "../..");
export const SLIPWAY = join(REPOSITORY, "dist/slipway");
export const BASE = "slipway/base";

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** An engine of its own: data root, exec root, socket, bridge and tables that no other engine shares. */
export class Engine implements AsyncDisposable {
  readonly root: string;
  readonly socket: string;
  #daemon: Bun.Subprocess | undefined;

  readonly #flags: readonly string[];
  readonly #launcher: readonly string[];

  private constructor(root: string, flags: readonly string[], launcher: readonly string[]) {
    this.root = root;
    this.#flags = flags;
    this.#launcher = launcher;
    this.socket = join(root, "s.sock");
  }

  /**
   * Starts one with the base image loaded, and with these flags besides its own. The launcher is a command that becomes the
   * daemon, after entering a namespace for instance.
   */
  static async start(flags: readonly string[] = [], launcher: readonly string[] = []): Promise<Engine> {
    if (!existsSync(SLIPWAY)) {
      throw new SlipwayError("unavailable", `${SLIPWAY} is missing`, { hint: "Make it with ./quickstart --setup." });
    }
    const engine = new Engine(mkdtempSync(join(tmpdir(), "slipway-e2e-")), flags, launcher);
    await engine.startDaemon();
    const archive = join(engine.root, "base.tar");
    writeFileSync(archive, baseImageArchive());
    await engine.ok("load", "-q", "-i", archive);
    return engine;
  }

  get dataRoot(): string {
    return join(this.root, "data");
  }

  get execRoot(): string {
    return join(this.root, "exec");
  }

  get daemonPid(): number {
    if (this.#daemon === undefined) throw new Error("no daemon runs");
    return this.#daemon.pid;
  }

  daemonFlags(): string[] {
    return [
      ...["-H", `unix://${this.socket}`, "--data-root", this.dataRoot, "--exec-root", this.execRoot],
      ...["--pidfile", join(this.root, "pid"), "-D"],
      ...this.#flags,
    ];
  }

  async startDaemon(): Promise<void> {
    // What an earlier one said stays.
    const log = openSync(join(this.root, "daemon.log"), "a");
    const command = [...this.#launcher, SLIPWAY, "daemon", ...this.daemonFlags()];
    this.#daemon = Bun.spawn(command, { stdin: "ignore", stdout: log, stderr: log });
    closeSync(log);
    await this.#answering();
  }

  /** Ends the daemon, by SIGTERM unless told otherwise; containers go on. */
  async stopDaemon(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#daemon?.kill(signal);
    await this.#daemon?.exited;
    this.#daemon = undefined;
  }

  async #answering(): Promise<void> {
    const deadline = AbortSignal.timeout(20_000);
    for (;;) {
      try {
        if ((await fetch("http://engine/_ping", { unix: this.socket })).ok) return;
      } catch {
        // It does not listen yet.
      }
      if (deadline.aborted || this.#daemon?.exitCode !== null)
        throw new Error(`the daemon does not answer:\n${this.log()}`);
      await Bun.sleep(5);
    }
  }

  log(): string {
    return readFileSync(join(this.root, "daemon.log"), "utf8");
  }

  /** Runs our own client. */
  slipway(argv: readonly string[], options: RunOptions = {}): Promise<Output> {
    return run([SLIPWAY, ...argv], { ...options, env: { ...options.env, DOCKER_HOST: `unix://${this.socket}` } });
  }

  /** Runs our own client, expects success and returns its standard output without the last newline. */
  async ok(...argv: string[]): Promise<string> {
    const output = await this.slipway(argv);
    if (output.code !== 0)
      throw new Error(`slipway ${argv.join(" ")} ended with ${output.code}:\n${output.stdout}${output.stderr}`);
    return output.stdout.replace(/\n$/, "");
  }

  /** A build context of these files; returns its directory. */
  context(files: Readonly<Record<string, string>>): string {
    const directory = mkdtempSync(join(this.root, "context-"));
    for (const [name, content] of Object.entries(files)) {
      const path = join(directory, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
    }
    return directory;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#daemon === undefined) await this.startDaemon();
    const ids = (await this.ok("ps", "-aq")).split("\n").filter(Boolean);
    if (ids.length > 0) await this.ok("rm", "-f", ...ids);
    // Bridges outlive the daemon.
    await this.ok("network", "prune", "-f");
    await this.stopDaemon();
    const left = mountsBelow(this.root);
    if (left.length > 0) throw new Error(`the engine left mounts behind:\n${left.join("\n")}`);
    rmSync(this.root, { recursive: true });
  }
}

export function mountsBelow(root: string): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((target) => target.startsWith(`${root}/`));
}

export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Output> {
  const child = Bun.spawn([...argv], {
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}
