import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Stands before a server on loopback and counts the bytes that come from it; a slow reader slows the server down. */
export class CountingProxy implements AsyncDisposable {
  /** Bytes since `count` was called. */
  passed = 0;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  #limit = Number.POSITIVE_INFINITY;
  #reached = () => {};

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(port: number): Promise<CountingProxy> {
    const server = createServer((client) => {
      const upstream = connect(port, "127.0.0.1");
      client.on("error", () => upstream.destroy());
      upstream.on("error", () => client.destroy());
      client.pipe(upstream);
      upstream.on("data", (bytes) => proxy.#count(bytes.length)).pipe(client);
      proxy.#clients.add(client);
      client.on("close", () => {
        upstream.destroy();
        proxy.#clients.delete(client);
      });
    });
    const proxy = new CountingProxy(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Begins anew; resolves when so many bytes have passed. */
  count(limit = Number.POSITIVE_INFINITY): Promise<void> {
    this.passed = 0;
    this.#limit = limit;
    return new Promise((resolve) => {
      this.#reached = resolve;
    });
  }

  #count(bytes: number): void {
    this.passed += bytes;
    if (this.passed >= this.#limit) this.#reached();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    // Those that wait for another request would wait for ever.
    for (const client of this.#clients) client.destroy();
    await closed;
  }
}
