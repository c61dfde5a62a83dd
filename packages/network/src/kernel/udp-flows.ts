import dgram from "node:dgram";

/** As long as the kernel remembers a UDP connection that has had answers, in milliseconds. */
const IDLE = 120_000;
/** Each costs a descriptor of this process. */
const MOST = 512;

interface Flow {
  readonly upstream: dgram.Socket;
  idle: ReturnType<typeof setTimeout>;
}

/**
 * Datagrams from clients of one published port to a container and back. Each client has a socket of its own, so that answers
 * find the way; the one that was silent for the longest makes room for a new one.
 */
export class UdpFlows {
  readonly #socket: dgram.Socket;
  readonly #containerPort: number;
  readonly #accepts: (address: string) => boolean;
  /** By client, the one that spoke last at the end. */
  readonly #flows = new Map<string, Flow>();
  #target: string | undefined;

  constructor(socket: dgram.Socket, containerPort: number, accepts: (address: string) => boolean) {
    this.#socket = socket;
    this.#containerPort = containerPort;
    this.#accepts = accepts;
  }

  forwardTo(address: string): void {
    if (address === this.#target) return;
    this.close();
    this.#target = address;
  }

  pass(data: Uint8Array, from: { readonly address: string; readonly port: number }): void {
    if (this.#target === undefined || !this.#accepts(from.address)) return;
    const key = `${from.address} ${from.port}`;
    const flow = this.#flows.get(key) ?? this.#open(from, key);
    clearTimeout(flow.idle);
    flow.idle = this.#timer(key);
    this.#flows.delete(key);
    this.#flows.set(key, flow);
    flow.upstream.send(data, this.#containerPort, this.#target, () => {});
  }

  #open(client: { readonly address: string; readonly port: number }, key: string): Flow {
    const [oldest] = this.#flows.keys();
    if (oldest !== undefined && this.#flows.size >= MOST) this.#end(oldest);
    const upstream = dgram.createSocket("udp4");
    // A container that refuses, or is gone: the client hears nothing, as with any lost datagram.
    upstream.on("error", () => {});
    upstream.on("message", (answer, from) => {
      if (from.address !== this.#target || from.port !== this.#containerPort) return;
      // The listener may have been closed since.
      if (this.#flows.get(key)?.upstream === upstream) this.#socket.send(answer, client.port, client.address, () => {});
    });
    upstream.unref();
    return { upstream, idle: this.#timer(key) };
  }

  #timer(key: string): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => this.#end(key), IDLE);
    timer.unref();
    return timer;
  }

  #end(key: string): void {
    const flow = this.#flows.get(key);
    this.#flows.delete(key);
    clearTimeout(flow?.idle);
    flow?.upstream.close();
  }

  close(): void {
    for (const key of [...this.#flows.keys()]) this.#end(key);
  }
}
