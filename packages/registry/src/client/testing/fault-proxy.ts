import type { Socket } from "bun";

/** What happens to one connection, or to all of them. */
export interface Fault {
  /** Which requests it is about, by the first line of their head; all if absent. */
  readonly on?: RegExp;
  /** How often; for ever if absent. */
  readonly times?: number;
  /** The connection is cut after so many bytes of the answer (`down`) or of the request (`up`). */
  readonly cut?: { readonly way: "up" | "down"; readonly after: number };
  /** After so many bytes of the answer nothing more comes, and the connection stays. */
  readonly stallAfter?: number;
  /** After so many bytes of the answer the rest comes half a second later. */
  readonly pauseAfter?: number;
  /** One byte of the answer becomes another. */
  readonly corruptAt?: number;
  /** The whole answer in place of the registry's. */
  readonly answer?: string;
  /** The registry's answer, its head changed. */
  readonly head?: (head: string) => string;
}

interface Pair {
  client: Socket<Pair>;
  upstream: Socket<Pair> | undefined;
  fault: Fault | undefined;
  up: number;
  down: number;
  dead: boolean;
  waiting: Buffer[];
}

/** Stands between a client and a registry and does harm as told. It counts what passes. */
export class FaultProxy implements Disposable {
  /** Bytes that came from the registry. */
  down = 0;
  /** Bytes that went to it. */
  up = 0;
  /** First lines of all requests. */
  readonly requests: string[] = [];
  readonly port: number;
  readonly #listener: { stop(force?: boolean): void };
  #faults: { fault: Fault; left: number }[] = [];

  constructor(upstreamPort: number) {
    const proxy = this;
    const listener = Bun.listen<Pair>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open(client) {
          client.data = { client, upstream: undefined, fault: undefined, up: 0, down: 0, dead: false, waiting: [] };
          void proxy.#connect(client.data, upstreamPort);
        },
        data: (client, bytes) => proxy.#fromClient(client.data, Buffer.from(bytes)),
        drain,
        close: (client) => {
          const { upstream } = client.data;
          if (upstream !== undefined) endAfter(upstream);
        },
        error() {},
      },
    });
    this.#listener = listener;
    this.port = listener.port;
  }

  /** From now on, in this order; forgets what was told before and what was counted. */
  inject(...faults: Fault[]): void {
    this.#faults = faults.map((fault) => ({ fault, left: fault.times ?? Number.POSITIVE_INFINITY }));
    this.up = 0;
    this.down = 0;
    this.requests.length = 0;
  }

  [Symbol.dispose](): void {
    this.#listener.stop(true);
  }

  async #connect(pair: Pair, port: number): Promise<void> {
    pair.upstream = await Bun.connect<Pair>({
      hostname: "127.0.0.1",
      port,
      data: pair,
      socket: {
        data: (_, bytes) => this.#fromRegistry(pair, Buffer.from(bytes)),
        drain,
        close: () => endAfter(pair.client),
        error() {},
      },
    });
    for (const bytes of pair.waiting.splice(0)) this.#send(pair, bytes);
  }

  #fromClient(pair: Pair, bytes: Buffer): void {
    const line = /^(?:GET|HEAD|POST|PUT|PATCH|DELETE) [^\r\n]* HTTP\/1\.1/.exec(bytes.toString("latin1"))?.[0];
    if (line !== undefined) {
      this.requests.push(line);
      pair.fault = this.#take(line);
      pair.up = 0;
      pair.down = 0;
      if (pair.fault?.answer !== undefined) {
        pair.dead = true;
        pair.client.write(pair.fault.answer);
        pair.client.end();
        return;
      }
    }
    if (pair.dead) return;
    const cut = pair.fault?.cut;
    pair.up += bytes.length;
    this.up += bytes.length;
    if (cut?.way === "up" && pair.up > cut.after) {
      this.#kill(pair);
      return;
    }
    this.#send(pair, bytes);
  }

  #send(pair: Pair, bytes: Buffer): void {
    if (pair.upstream === undefined) pair.waiting.push(bytes);
    else writeAll(pair.upstream, bytes);
  }

  #fromRegistry(pair: Pair, received: Buffer): void {
    if (pair.dead) return;
    const { fault } = pair;
    let bytes = received;
    if (fault?.head !== undefined && pair.down === 0) {
      const end = bytes.indexOf("\r\n\r\n") + 4;
      bytes = Buffer.concat([Buffer.from(fault.head(bytes.toString("latin1", 0, end)), "latin1"), bytes.subarray(end)]);
    }
    const start = pair.down;
    pair.down += bytes.length;
    const at = fault?.corruptAt;
    if (at !== undefined && at >= start && at < pair.down) bytes[at - start] = (bytes[at - start] ?? 0) ^ 0x55;
    const limit = fault?.cut?.way === "down" ? fault.cut.after : fault?.stallAfter;
    if (limit !== undefined && pair.down > limit) {
      const rest = bytes.subarray(0, Math.max(0, limit - start));
      this.down += rest.length;
      writeAll(pair.client, rest);
      if (fault?.stallAfter === undefined) this.#kill(pair);
      else pair.dead = true;
      return;
    }
    this.down += bytes.length;
    const pause = fault?.pauseAfter;
    if (pause === undefined || pair.down <= pause) writeAll(pair.client, bytes);
    else setTimeout(() => writeAll(pair.client, bytes), 500);
  }

  #kill(pair: Pair): void {
    pair.dead = true;
    endAfter(pair.client);
    pair.upstream?.end();
  }

  #take(line: string): Fault | undefined {
    const found = this.#faults.find(({ fault, left }) => left > 0 && (fault.on?.test(line) ?? true));
    if (found === undefined) return undefined;
    found.left--;
    return found.fault;
  }
}

/** Bytes on their way to a socket, in order, whatever it takes at once. */
const outlets = new WeakMap<Socket<Pair>, { bytes: Buffer; ended: boolean }>();

function writeAll(socket: Socket<Pair>, bytes: Buffer): void {
  const outlet = outlets.get(socket) ?? { bytes: Buffer.alloc(0), ended: false };
  outlets.set(socket, outlet);
  const wasIdle = outlet.bytes.length === 0;
  outlet.bytes = wasIdle ? bytes : Buffer.concat([outlet.bytes, bytes]);
  if (wasIdle) drain(socket);
}

function drain(socket: Socket<Pair>): void {
  const outlet = outlets.get(socket);
  if (outlet === undefined) return;
  const written = outlet.bytes.length === 0 ? 0 : socket.write(outlet.bytes);
  if (written < 0) {
    outlet.bytes = Buffer.alloc(0);
    return;
  }
  outlet.bytes = outlet.bytes.subarray(written);
  if (outlet.bytes.length === 0 && outlet.ended) socket.end();
}

/** Ends a socket once it has taken everything. */
function endAfter(socket: Socket<Pair>): void {
  const outlet = outlets.get(socket);
  if (outlet === undefined || outlet.bytes.length === 0) socket.end();
  else outlet.ended = true;
}
