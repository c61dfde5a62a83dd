import { SlipwayError } from "@slipway/base";
import type { Digest, ImageId } from "@slipway/oci";
import type { LogOutput, LogRecord, StdioSession } from "@slipway/runtime";
import { readCgroupAbilities } from "@slipway/runtime";
import type { Backends, Container, ContainerListItem, SystemInfo } from "../backend.ts";
import { frame } from "../routes/stdio-stream.ts";

/** Backends for tests of the protocol: every method refuses unless a test gives it. */
export function fakeBackends(
  given: { [Name in keyof Backends]?: Partial<Backends[Name]> } & { readonly version?: string } = {},
): Backends {
  const refuse = (name: string) => () => {
    throw new SlipwayError("not-implemented", `the test's backend has no ${name}`);
  };
  const part = <T extends object>(name: string, methods: Partial<T> | undefined, common: Partial<T> = {}): T =>
    new Proxy({ ...common, ...methods } as T, {
      get: (target, key) => Reflect.get(target, key) ?? refuse(`${name}.${String(key)}`),
    });
  return {
    containers: part("containers", given.containers),
    execs: part("execs", given.execs),
    files: part("files", given.files),
    images: part("images", given.images),
    volumes: part("volumes", given.volumes),
    networks: part("networks", given.networks),
    registries: part("registries", given.registries),
    builds: part("builds", given.builds),
    prunes: part("prunes", given.prunes),
    trash: part("trash", given.trash),
    system: part("system", given.system, {
      version: () => ({ version: "0.1.0", gitCommit: "abc", buildTime: "2026-01-01T00:00:00Z" }),
      info: async () => someInfo,
    }),
  };
}

/** The log of a container that has said what the generator yields. */
export function fakeLogs(records: () => AsyncGenerator<LogRecord>): LogOutput {
  return {
    [Symbol.asyncIterator]: records,
    async *bytes(framed) {
      for await (const { stream, data } of records()) yield framed ? frame(stream, data) : data;
    },
  };
}

const someInfo: SystemInfo = {
  id: "ID",
  name: "host",
  dataRoot: "/data",
  containers: { running: 1, paused: 0, stopped: 2 },
  images: 3,
  cpus: 2,
  memoryBytes: 1024,
  kernelVersion: "6.18",
  operatingSystem: "Debian",
  architecture: "amd64",
  cgroupVersion: 1,
  cgroupDriver: "cgroupfs",
  abilities: readCgroupAbilities("/nonexistent"),
  runtime: { name: "runc", path: "/usr/sbin/runc", version: "1.1.5" },
  securityOptions: [],
  warnings: [],
  debug: false,
  osVersion: "12",
  listeners: 0,
  descriptors: 0,
  ipForwarding: true,
  backingFileSystem: "extfs",
  userxattr: false,
  loggingDriver: "json-file",
  registries: { mirrors: ["http://127.0.0.1:5000/"], insecureRegistries: ["127.0.0.1:5000", "10.0.0.0/8"] },
};

/** A container with the given configuration, and otherwise what inspect needs. */
export function someContainer(change: Partial<Container> = {}): ContainerListItem {
  const container: Container = {
    id: "c".repeat(64),
    name: "web",
    linkNames: [],
    created: 1_700_000_000_000,
    imageId: `sha256:${"a".repeat(64)}` as Digest as ImageId,
    config: { Image: "busybox" },
    hostConfig: {},
    state: { status: "running", pid: 42, exitCode: 0, error: "", oomKilled: false, restartCount: 0 },
    path: "sh",
    args: ["-c", "echo hi"],
    mounts: [],
    endpoints: [],
    namespacePath: "",
    ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }], "90/udp": null },
    logPath: "",
    hostnamePath: "",
    hostsPath: "",
    resolvConfPath: "",
    execIds: [],
    layers: { lower: "", upper: "", work: "", merged: "" },
    ...change,
  };
  return { container, status: "Up 1 second", imageName: "busybox" };
}

/** A process that answers each input with `out:` on stdout and `err:` on stderr, and ends with `bye` after the end of its input. */
export class EchoSession implements StdioSession {
  readonly #queue: { stream: "stdout" | "stderr"; data: Uint8Array }[] = [];
  #wake: () => void = () => {};
  #ended = false;
  detached = false;
  received = 0;

  readonly output = this.#read();

  async write(data: Uint8Array): Promise<void> {
    this.received += data.length;
    if (data.length > 100) return;
    this.say("stdout", `out:${Buffer.from(data)}`);
    this.say("stderr", `err:${Buffer.from(data)}`);
  }

  say(stream: "stdout" | "stderr", text: string): void {
    this.#queue.push({ stream, data: Buffer.from(text) });
    this.#wake();
  }

  /** The output goes on for a while after the input has ended. */
  closeStdin(): void {
    setTimeout(() => {
      this.say("stdout", `bye ${this.received}`);
      this.#ended = true;
      this.#wake();
    }, 20);
  }

  detach(): void {
    this.detached = true;
    this.#ended = true;
    this.#wake();
  }

  async *#read(): AsyncGenerator<{ stream: "stdout" | "stderr"; data: Uint8Array }> {
    for (;;) {
      for (let item = this.#queue.shift(); item !== undefined; item = this.#queue.shift()) yield item;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
