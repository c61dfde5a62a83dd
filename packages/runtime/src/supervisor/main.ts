import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { errorCode, errorMessage, SlipwayError } from "@slipway/base";
import {
  flock,
  kill,
  listenUnix,
  READY,
  releaseCodePages,
  replaceProcess,
  setProcessName,
  setSubreaper,
  spawnProcess,
} from "@slipway/sys";
import type { ExecRequest, ExitRecord, StartRequest } from "../faces.ts";
import { acceptAll, Connection } from "./connection.ts";
import { DescriptorStore, makeStoreEnds, pidNamespaceOf, zombieStatus } from "./descriptor-store.ts";
import { type Answer, FRAME, type Hello, PROTOCOL_VERSION, type Request, type WireError } from "./frames.ts";
import { Loop } from "./loop.ts";
import { childrenOf, reapOrphans } from "./orphans.ts";
import { SupervisorServer } from "./server.ts";
import { SupervisorPaths } from "./supervisor-paths.ts";

/** Names the keeper to the supervisor that it starts: `pid:sender:receiver`. */
const KEEPER_VARIABLE = "SLIPWAY_KEEPER";
/** Milliseconds without containers and without anything asked, after which it ends although a daemon is connected. */
const LINGER = 30_000;
/** Milliseconds between two looks at whether anybody needs us. */
const CHECK_EVERY = 3_000;
/** Milliseconds without a request after which memory is given back. */
const QUIET = 1_000;
/** As `CHECK_EVERY`, while processes of a predecessor run. */
const CHECK_INHERITED_EVERY = 200;
/** As `LINGER`, without a daemon. */
const LINGER_ALONE = 500;

export interface SupervisorOptions {
  readonly execRoot: string;
}

/**
 * The supervisor's process. It first becomes two: the process that was started turns into a program that only sleeps, the
 * *keeper*, and its child does the work. The keeper is a subreaper: when the worker is killed, its containers become
 * children of the keeper, which never collects them, so that their exit codes can still be read by the next worker. It
 * also holds the socket in which the descriptors of running containers are in flight.
 */
export async function runSupervisor(args: readonly string[]): Promise<number> {
  const options = parseArguments(args);
  const paths = new SupervisorPaths(options.execRoot);
  mkdirSync(paths.keepers, { recursive: true, mode: 0o700 });
  const keeper = process.env[KEEPER_VARIABLE];
  if (keeper === undefined) return becomeKeeper(paths);
  return new SupervisorWorker(paths, keeper).run();
}

function parseArguments(args: readonly string[]): SupervisorOptions {
  const rest = args.filter((argument) => argument !== "--exec-root");
  const execRoot = rest[0]?.replace(/^--exec-root=/, "");
  if (rest.length !== 1 || !execRoot?.startsWith("/")) {
    throw new SlipwayError("invalid", "usage: slipway supervisor EXEC_ROOT (an absolute path)");
  }
  return { execRoot };
}

function becomeKeeper(paths: SupervisorPaths): number {
  const sleep = Bun.which("sleep", { PATH: "/usr/bin:/bin" });
  setSubreaper();
  const nothing = openSync("/dev/null", "r+");
  const messages = openSync(paths.messages, "a", 0o600);
  const ends = sleep === null ? undefined : makeStoreEnds();
  const keeper = ends === undefined ? "none" : `${process.pid}:${ends.sender}:${ends.receiver}`;
  spawnProcess(process.execPath, selfArguments(), {
    env: { ...definedEnvironment(), [KEEPER_VARIABLE]: keeper },
    stdio: [nothing, nothing, messages],
    session: true,
  });
  closeSync(messages);
  if (sleep === null) return 0;
  writeFileSync(`${paths.keepers}/${process.pid}`, `${ends?.sender} ${ends?.receiver}`);
  replaceProcess(sleep, ["infinity"], {});
}

/** What this process was started with, for its child. */
function selfArguments(): string[] {
  // Inside a compiled executable the script lies in Bun's virtual file system.
  const compiled = Bun.main.startsWith("/$bunfs/");
  return compiled ? process.argv.slice(2) : [Bun.main, ...process.argv.slice(2)];
}

function definedEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

class SupervisorWorker {
  readonly #paths: SupervisorPaths;
  readonly #loop = new Loop();
  readonly #controls = new Set<Connection>();
  readonly #keeperPid: number | undefined;
  #server: SupervisorServer | undefined;
  readonly #store: DescriptorStore | undefined;
  #listener = -1;
  #cancelCheck: () => void = () => {};
  #lastRequest = performance.now();
  /** The `#lastRequest` after which memory was given back. */
  #collectedAfter = 0;

  constructor(paths: SupervisorPaths, keeper: string) {
    this.#paths = paths;
    const [pid, sender, receiver] = keeper.split(":").map(Number);
    this.#keeperPid = keeper === "none" ? undefined : pid;
    this.#store = openStore(pid, sender, receiver);
  }

  run(): number {
    setProcessName("slipway-superv");
    const lock = openSync(this.#paths.lock, "w", 0o600);
    if (!flock(lock)) {
      // Another one was quicker.
      this.#dismissKeeper();
      return 0;
    }
    setSubreaper();
    const server = new SupervisorServer(this.#loop, this.#paths, this.#store, (exit) => this.#announce(exit));
    this.#server = server;
    server.recover(this.#inherit());
    this.#listen();
    this.#checkIdle();
    this.#loop.run();
    rmSync(this.#paths.socket, { force: true });
    // Nobody comes after us to do it: a keeper of an earlier worker whose last container has just ended.
    this.#removeIdleKeepers();
    this.#dismissKeeper();
    return 0;
  }

  /** The descriptors of earlier keepers; keepers without children are not needed any more. */
  #inherit(): { readonly label: string; readonly fds: readonly number[] }[] {
    const kept: { readonly label: string; readonly fds: readonly number[] }[] = [];
    for (const name of this.#keeperNames()) {
      const pid = Number(name);
      if (pid === this.#keeperPid) continue;
      const ends = keeperEnds(this.#paths, pid);
      const store = ends === undefined ? undefined : openStore(pid, ends[0], ends[1]);
      if (store !== undefined) {
        kept.push(...store.takeAll());
        store.close();
      }
    }
    return kept;
  }

  #listen(): void {
    // A name of its own first: connecting either finds no socket or one that answers.
    const temporary = `${this.#paths.socket}.${process.pid}`;
    rmSync(temporary, { force: true });
    this.#listener = listenUnix(temporary);
    renameSync(temporary, this.#paths.socket);
    this.#loop.watch(this.#listener, READY.in, () =>
      acceptAll(this.#listener, (fd) => this.#accept(new Connection(this.#loop, fd))),
    );
  }

  #accept(connection: Connection): void {
    connection.handler = {
      frame: (_kind, payload) => this.#greet(connection, payload),
      drained: () => {},
      closed: () => {},
    };
  }

  #greet(connection: Connection, payload: Buffer): void {
    this.#lastRequest = performance.now();
    const hello = JSON.parse(payload.toString("utf8")) as Hello;
    if (hello.version !== PROTOCOL_VERSION) {
      const error = new SlipwayError("conflict", `the running supervisor speaks version ${PROTOCOL_VERSION}`);
      sendJson(connection, { n: 0, error: wireError(error) });
      connection.end();
      return;
    }
    sendJson(connection, { n: 0, result: { pid: process.pid } });
    if (hello.role === "attach") {
      this.#server?.attach(connection, hello);
      return;
    }
    this.#controls.add(connection);
    connection.handler = {
      frame: (_kind, request) => this.#request(connection, JSON.parse(request.toString("utf8")) as Request),
      drained: () => {},
      closed: () => {
        this.#controls.delete(connection);
        // The check that is set may be seconds away: whoever waits for our end would wait for that.
        if (this.#controls.size === 0) this.#checkAfter(LINGER_ALONE);
      },
    };
    for (const exit of this.#server?.state().exits ?? []) sendJson(connection, { event: "exit", exit });
  }

  #request(connection: Connection, request: Request): void {
    this.#lastRequest = performance.now();
    const answer = (error: unknown, result?: unknown): void => {
      if (error !== undefined && error !== null) sendJson(connection, { n: request.n, error: wireError(error) });
      else sendJson(connection, { n: request.n, result: result ?? null });
    };
    try {
      this.#perform(request, answer);
    } catch (error) {
      answer(error);
    }
  }

  #perform(request: Request, answer: (error: unknown, result?: unknown) => void): unknown {
    const server = this.#server;
    if (server === undefined) throw new SlipwayError("unavailable", "the supervisor is not ready");
    // Only the daemon of the same program reaches this socket: its requests have the types that its compiler saw.
    const params = request.params as StartRequest & ExecRequest & MethodParams;
    switch (request.method) {
      case "start":
        return server.start(params, answer);
      case "exec":
        return server.exec(params, answer);
      case "signal":
        return answer(undefined, server.signal(params.id, params.signal, params));
      case "resize":
        return answer(undefined, server.resize(params.id, params.size, params.execId));
      case "pause":
      case "resume":
        return server.freeze(request.method, params.id, answer);
      case "state":
        return answer(undefined, server.state());
      case "acknowledge":
        return answer(undefined, server.acknowledge(params.id, params.execId));
      case "delete":
        return server.delete(params.id, answer);
      default:
        throw new SlipwayError("not-implemented", `the supervisor does not know ${request.method}`);
    }
  }

  #announce(exit: ExitRecord): void {
    for (const control of this.#controls) sendJson(control, { event: "exit", exit });
  }

  #checkIdle(): void {
    const alone = this.#controls.size === 0;
    const quiet = performance.now() - this.#lastRequest;
    if (this.#server?.busy !== true && quiet >= (alone ? LINGER_ALONE : LINGER)) {
      for (const control of this.#controls) {
        // Whatever it sends from here on it must send to our successor.
        sendJson(control, { event: "closing" });
        control.end();
      }
      this.#loop.stop();
      return;
    }
    this.#removeIdleKeepers();
    const inherited = this.#releaseEnding();
    reapOrphans();
    if (quiet > QUIET && this.#collectedAfter !== this.#lastRequest) {
      // Nobody else would: the runtime collects when its own event loop is idle, and that never turns here.
      Bun.gc(true);
      releaseCodePages();
      this.#collectedAfter = this.#lastRequest;
    }
    this.#checkAfter(inherited ? CHECK_INHERITED_EVERY : alone ? LINGER_ALONE : CHECK_EVERY);
  }

  /**
   * A container cannot end while the zombie of an exec, or of a runtime that was about to start one, lies in its pid
   * namespace, and an earlier keeper collects nothing. So such a keeper goes, and the system collects everything. What is
   * known of ends by then is noted before; of those that end later the kernel tells us from 6.15 on, and the exit code of
   * others is lost. Returns whether there are earlier keepers.
   */
  #releaseEnding(): boolean {
    const inherited = this.#keeperNames().filter((name) => Number(name) !== this.#keeperPid && isKeeper(Number(name)));
    const ending = inherited.length === 0 ? undefined : this.#server?.endingNamespaces();
    if (ending === undefined || ending.size === 0) return inherited.length > 0;
    for (const name of inherited) {
      const children = childrenOf(Number(name));
      if (!children.some((child) => ending.has(pidNamespaceOf(child)))) continue;
      this.#server?.noteEnds();
      kill(Number(name), "KILL");
      rmSync(`${this.#paths.keepers}/${name}`, { force: true });
    }
    return true;
  }

  #checkAfter(milliseconds: number): void {
    this.#cancelCheck();
    this.#cancelCheck = this.#loop.after(milliseconds, () => this.#checkIdle());
  }

  #removeIdleKeepers(): void {
    for (const name of this.#keeperNames()) {
      const pid = Number(name);
      if (pid === this.#keeperPid) continue;
      // Containers that still run need it to leave their exit codes; a worker of its own may be about to take over.
      if (childrenOf(pid).some((child) => zombieStatus(child) === undefined)) continue;
      if (isKeeper(pid)) kill(pid, "KILL");
      rmSync(`${this.#paths.keepers}/${name}`, { force: true });
    }
  }

  /** None when the exec root was removed below us: a supervisor that fails over that would never end. */
  #keeperNames(): string[] {
    return existsSync(this.#paths.keepers) ? readdirSync(this.#paths.keepers) : [];
  }

  #dismissKeeper(): void {
    if (this.#keeperPid === undefined) return;
    this.#store?.close();
    rmSync(`${this.#paths.keepers}/${this.#keeperPid}`, { force: true });
    kill(this.#keeperPid, "KILL");
  }
}

interface MethodParams {
  readonly id: string;
  readonly signal: number;
  readonly all?: boolean;
  readonly size: { readonly rows: number; readonly columns: number };
}

function openStore(pid?: number, sender?: number, receiver?: number): DescriptorStore | undefined {
  if (!pid || !sender || !receiver) return undefined;
  try {
    return new DescriptorStore(pid, { sender, receiver });
  } catch {
    // A kernel before 5.6, or one that forbids tracing: we live without a keeper's memory.
    return undefined;
  }
}

function isKeeper(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0")[1] === "infinity";
  } catch {
    return false;
  }
}

/** The ends of a keeper's pair, as it wrote them down before it fell asleep. */
function keeperEnds(paths: SupervisorPaths, pid: number): readonly [number, number] | undefined {
  if (!isKeeper(pid)) return undefined;
  const [sender, receiver] = readFileSync(`${paths.keepers}/${pid}`, "latin1").split(" ").map(Number);
  return sender === undefined || receiver === undefined ? undefined : [sender, receiver];
}

function sendJson(connection: Connection, answer: Answer): void {
  connection.send(FRAME.json, Buffer.from(JSON.stringify(answer)));
}

function wireError(error: unknown): WireError {
  const known = error instanceof SlipwayError ? error : undefined;
  return {
    code: errorCode(error),
    message: errorMessage(error),
    ...(known?.hint === undefined ? {} : { hint: known.hint }),
    ...(known === undefined ? {} : { details: known.details }),
  };
}
