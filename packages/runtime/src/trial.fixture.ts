import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import {
  buildSpec,
  Cgroup,
  connectSupervisor,
  type SpecInput,
  type StartRequest,
  type StdioSession,
  writeSpec,
} from "./index.ts";

/** A root file system made of busybox alone. */
export function makeRoot(directory: string): string {
  const root = join(directory, "root");
  for (const name of ["bin", "proc", "dev", "sys", "etc", "tmp", "root"])
    mkdirSync(join(root, name), { recursive: true });
  copyFileSync("/usr/bin/busybox", join(root, "bin/busybox"));
  const names = Bun.spawnSync(["/usr/bin/busybox", "--list"]).stdout.toString().split("\n").filter(Boolean);
  for (const name of names) if (name !== "busybox") symlinkSync("busybox", join(root, "bin", name));
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nship:x:1000:1000::/tmp:/bin/sh\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\nship:x:1000:\n");
  return root;
}

export function specOf(
  id: string,
  rootPath: string,
  args: readonly string[],
  over: Partial<SpecInput> = {},
): SpecInput {
  return {
    id,
    rootPath,
    readonlyRoot: false,
    args,
    env: ["PATH=/bin"],
    cwd: "/",
    user: { uid: 0, gid: 0, additionalGids: [], home: "/root" },
    terminal: false,
    hostname: "trial",
    mounts: [],
    devices: [],
    capAdd: [],
    capDrop: [],
    privileged: false,
    noNewPrivileges: false,
    seccomp: "default",
    sysctls: {},
    rlimits: [],
    resources: {},
    cgroupParent: "/slipway-trial",
    namespaces: { network: "private", ipc: "private", pid: "private", uts: "private", cgroup: "private" },
    shmSize: 64 * 1024 * 1024,
    annotations: {},
    ...over,
  };
}

/** A directory on tmpfs with a root, a supervisor of its own, and everything gone at the end. */
export class Trial implements AsyncDisposable {
  readonly directory = mkdtempSync("/run/trial-");
  readonly root = makeRoot(this.directory);
  readonly execRoot = join(this.directory, "exec");
  readonly logs = join(this.directory, "logs");
  readonly exits: { id: string; execId?: string; exitCode: number; oomKilled: boolean; exitCodeUnknown?: boolean }[] =
    [];
  client = this.connect();
  readonly #waiting = new Set<() => void>();
  #count = 0;

  constructor() {
    mkdirSync(this.logs, { recursive: true });
  }

  connect() {
    const client = connectSupervisor({
      execRoot: this.execRoot,
      command: [process.execPath, join(import.meta.dir, "supervisor-main.ts")],
    });
    client.onExit((exit) => {
      this.exits.push(exit);
      for (const wake of this.#waiting) wake();
    });
    return client;
  }

  /** Writes a bundle; `request` starts it. */
  bundle(args: readonly string[], over: Partial<SpecInput> = {}, start: Partial<StartRequest> = {}): StartRequest {
    const id = `trial-${process.pid}-${this.#count++}`;
    const bundle = join(this.directory, "bundles", id);
    mkdirSync(bundle, { recursive: true });
    writeSpec(bundle, buildSpec(specOf(id, this.root, args, { terminal: start.terminal === true, ...over })));
    return {
      id,
      bundle,
      terminal: false,
      openStdin: false,
      stdinOnce: false,
      log: { driver: "json-file", maxSize: 20_000_000, maxFiles: 5 },
      logDirectory: this.logs,
      ...start,
    };
  }

  async exitOf(id: string, execId?: string) {
    for (;;) {
      const exit = this.exits.find((each) => each.id === id && each.execId === execId);
      if (exit !== undefined) return exit;
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  /** Runs to the end: what it wrote and its exit code. */
  async run(args: readonly string[], over: Partial<SpecInput> = {}, start: Partial<StartRequest> = {}) {
    const request = this.bundle(args, over, start);
    const session = await this.client.attach(request.id, { stdin: false });
    const output = collect(session);
    await this.client.start(request);
    const exit = await this.exitOf(request.id);
    const text = await output;
    await this.client.delete(request.id);
    return { ...text, exitCode: exit.exitCode, exit };
  }

  log(id: string): string {
    return readFileSync(join(this.logs, `${id}-json.log`), "utf8");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ids = existsSync(join(this.execRoot, "supervisor/containers"))
      ? readdirSync(join(this.execRoot, "supervisor/containers"))
      : [];
    for (const id of ids) await this.client.delete(id).catch(() => {});
    await this.client.close();
    // It ends by itself half a second after the last client has gone.
    const lock = join(this.execRoot, "supervisor/keepers");
    for (let i = 0; i < 100 && existsSync(lock) && readdirSync(lock).length > 0; i++) await Bun.sleep(20);
    new Cgroup("/slipway-trial").remove();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export async function collect(session: StdioSession): Promise<{ stdout: string; stderr: string }> {
  const out = { stdout: "", stderr: "" };
  for await (const { stream, data } of session.output) out[stream] += Buffer.from(data).toString("latin1");
  return out;
}
