import { Database } from "bun:sqlite";
import { afterEach, beforeEach } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger, Scope } from "@slipway/base";
import { createNetworkNamespace, removeNetworkNamespace, unmountBelow } from "@slipway/sys";
import {
  type NetworkOptions,
  type Networks,
  networkMigrations,
  openNetworks,
  type PublishedPort,
  type Sandbox,
} from "./index.ts";

/** What one test has made; all of it goes when the test ends, also when it fails. */
export interface Machine {
  readonly dir: string;
  readonly scope: Scope;
  readonly log: string[];
}

let machine: Machine = { dir: "", scope: new Scope(), log: [] };
let counter = 0;
const heirs = new WeakMap<Database, Networks>();

/** Prepares and cleans up around each test of the calling file. */
export function useMachine(): () => Machine {
  beforeEach(() => {
    const dir = mkdtempSync(join(tmpdir(), "slipway-net-"));
    machine = { dir, scope: new Scope(), log: [] };
    machine.scope.defer(() => {
      unmountBelow(dir);
      rmSync(dir, { recursive: true, force: true });
    });
  });
  afterEach(() => machine.scope[Symbol.asyncDispose]());
  return () => machine;
}

export function run(...command: string[]): string {
  const done = Bun.spawnSync(command, { stdin: "ignore", stderr: "pipe" });
  if (!done.success) throw new Error(`${command.join(" ")}: ${done.stderr.toString()}`);
  return done.stdout.toString();
}

export type Engine = Networks & { readonly bridge: string; readonly database: Database; readonly execRoot: string };

/** An engine's networks with names of their own, gone at the end of the test. */
export function engine(options: Partial<NetworkOptions> = {}): Engine {
  const bridge = options.bridge ?? `swt${process.pid % 100000}${counter++}`;
  const database = options.database ?? new Database(":memory:");
  if (options.database === undefined) for (const step of networkMigrations.steps) database.run(step);
  const logger = createLogger({ level: "info", format: "text", write: (line) => machine.log.push(line) });
  const execRoot = options.execRoot ?? join(machine.dir, `exec${counter}`);
  const networks = openNetworks({ database, execRoot, bridge, logger, linger: 20, ...options });
  machine.scope.defer(async () => {
    // An engine that another one has followed on its database is a dead one: only the last cleans up.
    if (heirs.get(database) !== networks) return networks.close();
    await networks.reconcile(new Set());
    await networks.prune();
    await networks.close();
  });
  heirs.set(database, networks);
  return Object.assign(networks, { bridge, database, execRoot: options.execRoot ?? execRoot });
}

export function inside(sandbox: Sandbox, ...command: string[]): string {
  return run("nsenter", `--net=${sandbox.namespacePath}`, ...command);
}

/** A web server inside, answering with its own name. */
export async function serve(sandbox: Sandbox, text: string, port = 80): Promise<void> {
  const root = join(machine.dir, `www-${text}`);
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, "index.html"), text);
  const child = Bun.spawn([
    "nsenter",
    `--net=${sandbox.namespacePath}`,
    "busybox",
    "httpd",
    "-f",
    "-p",
    String(port),
    "-h",
    root,
  ]);
  machine.scope.defer(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
  await until(() => inside(sandbox, "ss", "-Hltn").includes(`:${port} `), "the server inside listens");
}

export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await Bun.sleep(5);
  }
}

export function tcp(containerPort: number, hostPort: number, hostAddress = "0.0.0.0"): PublishedPort {
  return { protocol: "tcp", containerPort, hostPort, hostAddress };
}

/** The page that a server shows to somebody inside, or "" if there is none to be had. */
export async function get(
  from: { readonly namespacePath: string },
  host: string | undefined,
  port: number | undefined,
): Promise<string> {
  const command = ["nsenter", `--net=${from.namespacePath}`, "busybox", "nc", "-w", "2", host ?? "", String(port)];
  const child = Bun.spawn(command, { stdin: Buffer.from("GET / HTTP/1.0\r\n\r\n"), stdout: "pipe", stderr: "ignore" });
  const answer = await new Response(child.stdout).text();
  return (answer.split("\r\n\r\n")[1] ?? "").trim();
}

export async function fetchText(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(3000), keepalive: false });
  return (await response.text()).trim();
}

export function links(): string {
  return run("ip", "-o", "link");
}

/** A machine beside this one: a namespace with a wire to the host. */
export function neighbour(): { readonly namespacePath: string; readonly hostAddress: string; readonly wire: string } {
  const path = join(machine.dir, "neighbour");
  createNetworkNamespace(path);
  machine.scope.defer(() => removeNetworkNamespace(path));
  const wire = `swn${process.pid % 100000}${counter++}`;
  run("ip", "link", "add", wire, "type", "veth", "peer", "name", "wire", "netns", path);
  machine.scope.defer(() => {
    Bun.spawnSync(["ip", "link", "delete", wire]);
  });
  run("ip", "addr", "add", "198.51.100.1/24", "dev", wire);
  run("ip", "link", "set", wire, "up");
  const nsenter = ["nsenter", `--net=${path}`];
  run(...nsenter, "ip", "addr", "add", "198.51.100.2/24", "dev", "wire");
  run(...nsenter, "ip", "link", "set", "wire", "up");
  run(...nsenter, "ip", "route", "add", "default", "via", "198.51.100.1");
  return { namespacePath: path, hostAddress: "198.51.100.1", wire };
}

export function ping(from: Sandbox, address: string | undefined): boolean {
  return Bun.spawnSync(["nsenter", `--net=${from.namespacePath}`, "busybox", "ping", "-c1", "-W1", address ?? ""], {
    stdout: "ignore",
    stderr: "ignore",
  }).success;
}

/** The first packet of a new interface may be lost; then the neighbour is asked for again after a second. */
export function reaches(from: Sandbox, address: string | undefined): boolean {
  return ping(from, address) || ping(from, address) || ping(from, address);
}
