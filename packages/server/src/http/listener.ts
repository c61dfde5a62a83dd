import { chmodSync, chownSync, lstatSync, unlinkSync } from "node:fs";
import { errnoOf, SlipwayError } from "@slipway/base";
import { setSendBuffer } from "@slipway/sys";
import type { Socket, SocketHandler } from "bun";
import { Connection, type ConnectionHandler } from "./connection.ts";

export type ListenAddress =
  | { readonly kind: "unix"; readonly path: string; readonly gid?: number }
  | { readonly kind: "tcp"; readonly hostname: string; readonly port: number; readonly tls?: ServerTls };

/** PEM texts. */
export interface ServerTls {
  readonly cert: Uint8Array;
  readonly key: Uint8Array;
  /** With it only clients whose certificate this authority signed are served. */
  readonly clientCa?: Uint8Array;
  /** Milliseconds that a peer has for the handshake; 10 seconds unless given. */
  readonly handshakeTimeout?: number;
}

export interface Listener {
  /** `unix:///run/x.sock` or `tcp://127.0.0.1:2375`, with the port that was chosen. */
  readonly address: string;
  /** Takes no more connections, lets answers that are being given end until `deadline`, then cuts. */
  close(deadline: AbortSignal): Promise<void>;
}

/** Milliseconds that answers get at the end before they are told to stop. */
const GRACE = 100;

/**
 * Bytes that a local client's kernel side takes at once, if there are so many: with the system's 208 KiB an archive is passed on
 * in small pieces, and both sides are waited for with each.
 */
const SEND_BUFFER = 1024 * 1024;

/** Who does not even say who he is must not hold a descriptor for long: anybody can connect. */
const HANDSHAKE_TIMEOUT = 10_000;

interface State {
  connection: Connection | undefined;
  /** Until the handshake is done. */
  impatience?: ReturnType<typeof setTimeout>;
}

function widen(socket: object): void {
  // Bun has it, its types do not.
  const { fd } = socket as { readonly fd?: number };
  if (fd !== undefined && fd >= 0) setSendBuffer(fd, SEND_BUFFER);
}

/** Serves HTTP on one address. Throws `conflict` when somebody else answers there. */
export async function listen(address: ListenAddress, handler: ConnectionHandler): Promise<Listener> {
  const connections = new Set<Connection>();
  let idle: (() => void) | undefined;
  let closing = false;
  const emptied = async (deadline: AbortSignal) => {
    if (connections.size === 0 || deadline.aborted) return;
    await new Promise<void>((resolve) => {
      idle = resolve;
      deadline.addEventListener("abort", () => resolve(), { once: true });
    });
  };
  if (address.kind === "unix") await removeStaleSocket(address.path);
  const tls = address.kind === "tcp" ? address.tls : undefined;
  const begin = (socket: Socket<State>) => {
    clearTimeout(socket.data.impatience);
    const connection = new Connection(socket, handler);
    socket.data = { connection };
    connections.add(connection);
    if (closing) connection.shutDown();
  };
  const socket: SocketHandler<State> = {
    open(socket) {
      if (address.kind === "unix") widen(socket);
      if (tls === undefined) begin(socket);
      else {
        const patience = tls.handshakeTimeout ?? HANDSHAKE_TIMEOUT;
        socket.data = { connection: undefined, impatience: setTimeout(() => socket.terminate(), patience) };
      }
    },
    // Until it is known who speaks, nothing is heard: whoever may ask is root here.
    handshake(socket, success, problem) {
      if (success && (tls?.clientCa === undefined || (problem === null && socket.authorized))) begin(socket);
      else socket.terminate();
    },
    data: (socket, chunk) => socket.data.connection?.onData(chunk),
    end: (socket) => socket.data.connection?.onEnd(),
    drain: (socket) => socket.data.connection?.onDrain(),
    error: () => {},
    close(socket) {
      const { connection, impatience } = socket.data;
      clearTimeout(impatience);
      if (connection === undefined) return;
      connections.delete(connection);
      connection.onClose();
      if (connections.size === 0) idle?.();
    },
  };
  const options = { allowHalfOpen: true, data: { connection: undefined }, socket };
  const server = bind(address, () => {
    if (address.kind === "unix") return { ...stopper(Bun.listen<State>({ ...options, unix: address.path })), port: 0 };
    const { hostname, port } = address;
    const listener = Bun.listen<State>({ ...options, hostname, port, ...(tls && { tls: tlsOptions(tls) }) });
    return { ...stopper(listener), port: listener.port };
  });
  if (address.kind === "unix") restrictSocket(address.path, address.gid);
  return {
    address: address.kind === "unix" ? `unix://${address.path}` : `tcp://${address.hostname}:${server.port}`,
    async close(deadline) {
      closing = true;
      server.stop();
      if (address.kind === "unix") unlinkQuietly(address.path);
      for (const connection of connections) connection.shutDown();
      // Short answers get their time; followers of logs and events would stay for ever.
      await emptied(AbortSignal.any([deadline, AbortSignal.timeout(GRACE)]));
      for (const connection of connections) connection.cancel();
      await emptied(deadline);
      for (const connection of connections) connection.terminate();
    },
  };
}

function tlsOptions({ cert, key, clientCa }: ServerTls): Bun.TLSOptions {
  const pem = (bytes: Uint8Array) => Buffer.from(bytes);
  const mutual = clientCa && { ca: pem(clientCa), requestCert: true, rejectUnauthorized: true };
  return { cert: pem(cert), key: pem(key), ...mutual };
}

function stopper(listener: { stop(closeActiveConnections?: boolean): void }): { readonly stop: () => void } {
  return { stop: () => listener.stop(false) };
}

function bind<T>(address: ListenAddress, listenNow: () => T): T {
  // Between bind and chmod nobody else may connect.
  const umask = process.umask(0o117);
  try {
    return listenNow();
  } catch (error) {
    const name = address.kind === "unix" ? address.path : `${address.hostname}:${address.port}`;
    throw new SlipwayError("unavailable", `cannot listen on ${name}: ${(error as Error).message}`, { cause: error });
  } finally {
    process.umask(umask);
  }
}

/** A socket file that a crashed daemon left refuses connections and may go; one that answers belongs to somebody. */
async function removeStaleSocket(path: string): Promise<void> {
  let kind: ReturnType<typeof lstatSync>;
  try {
    kind = lstatSync(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw error;
  }
  if (!kind.isSocket()) throw new SlipwayError("conflict", `${path} exists and is not a socket`);
  if (await answers(path)) {
    throw new SlipwayError("conflict", `another program listens on ${path} already`, {
      hint: "Give this daemon another address with -H, or stop the other one.",
    });
  }
  unlinkQuietly(path);
}

async function answers(path: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data() {}, error() {}, connectError() {} } });
    socket.terminate();
    return true;
  } catch {
    return false;
  }
}

function restrictSocket(path: string, gid: number | undefined): void {
  chmodSync(path, 0o660);
  if (gid !== undefined) chownSync(path, process.getuid?.() ?? 0, gid);
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody was faster.
  }
}
