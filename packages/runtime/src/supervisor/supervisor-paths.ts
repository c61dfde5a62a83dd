import { join } from "node:path";

/** Everything that the supervisor keeps: this file owns the layout. All of it is gone after a reboot. */
export class SupervisorPaths {
  readonly root: string;

  constructor(execRoot: string) {
    this.root = join(execRoot, "supervisor");
  }

  get socket(): string {
    return join(this.root, "rpc.sock");
  }

  get lock(): string {
    return join(this.root, "lock");
  }

  get messages(): string {
    return join(this.root, "messages.log");
  }

  /** One file for each process that keeps descriptors and exit statuses: its name is the pid. */
  get keepers(): string {
    return join(this.root, "keepers");
  }

  /** One link for each container, to its bundle. */
  get containers(): string {
    return join(this.root, "containers");
  }

  container(id: string): string {
    return join(this.containers, id);
  }

  /** The runtime's own state. */
  get runtime(): string {
    return join(this.root, "runtime");
  }

  console(n: number): string {
    return join(this.root, `tty${n}.sock`);
  }
}

/** The files of one process: a container's in its bundle, an exec's in a directory of its own beside. */
export class ProcessPaths {
  readonly directory: string;

  constructor(bundle: string, execId?: string) {
    this.directory = execId === undefined ? join(bundle, "io") : join(bundle, "execs", execId);
  }

  static execs(bundle: string): string {
    return join(bundle, "execs");
  }

  get meta(): string {
    return join(this.directory, "process.json");
  }

  get stdin(): string {
    return join(this.directory, "stdin");
  }

  get stdout(): string {
    return join(this.directory, "stdout");
  }

  get stderr(): string {
    return join(this.directory, "stderr");
  }

  /** Written by the runtime. */
  get pid(): string {
    return join(this.directory, "pid");
  }

  /** Pid and start time: together they name a process for good. */
  get identity(): string {
    return join(this.directory, "identity.json");
  }

  get exit(): string {
    return join(this.directory, "exit.json");
  }

  /** Exists once the daemon has taken note of the exit. */
  get acknowledged(): string {
    return join(this.directory, "acknowledged");
  }

  get runtimeLog(): string {
    return join(this.directory, "runtime.log");
  }

  /** What an exec runs, for the runtime. */
  get execSpec(): string {
    return join(this.directory, "spec.json");
  }
}
