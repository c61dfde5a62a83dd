import { errnoOf, errorMessage, type Logger, shortId } from "@slipway/base";
import { withNetworkNamespace } from "@slipway/sys";
import type { udp } from "bun";
import type { EndpointTable } from "../endpoint-table.ts";
import { DnsAnswers, type DnsClient, newClient } from "./dns-answers.ts";
import { NameIndex } from "./dns-names.ts";
import { RESOLVER_ADDRESS, redirectResolver } from "./dns-redirect.ts";
import { DnsStreams } from "./dns-streams.ts";
import type { NameServer } from "./dns-upstream.ts";
import { parseServers } from "./host-nameservers.ts";

export { RESOLVER_ADDRESS };

/** Where our sockets listen inside; above the ports that the kernel hands out. Another one if the container has taken it. */
const PORT = 63053;
const ATTEMPTS = 8;

interface Served {
  readonly client: DnsClient;
  readonly sockets: Sockets;
}

interface Sockets {
  close(): void;
}

/**
 * The resolver of containers on user-defined networks, at 127.0.0.11 inside each of them.
 *
 * Its sockets are made by this process while its thread is inside the container's namespace, where they stay, and are read by
 * this process' event loop like all others. Measured: 0.3 ms a container with the rules, 7 KB of ours and 25 KB of the
 * kernel's memory; an answer takes 60 µs. The way round (rules that send the questions to one socket on the bridge) would
 * know the asker only by an address, which containers can forge, and would need a way out of internal networks.
 *
 * The sockets end with this process. Rules keep, so questions then wait, and the next process' `serve` goes on.
 */
export class ContainerDns {
  readonly #endpoints: EndpointTable;
  readonly #logger: Logger;
  readonly #names = new NameIndex();
  readonly #answers: DnsAnswers;
  readonly #streams: DnsStreams;
  readonly #served = new Map<string, Served>();
  readonly #clients = new Map<udp.Socket<"buffer">, DnsClient>();

  constructor(endpoints: EndpointTable, hostServers: () => readonly NameServer[], logger: Logger) {
    this.#endpoints = endpoints;
    this.#logger = logger;
    this.#answers = new DnsAnswers(this.#names, hostServers);
    this.#streams = new DnsStreams(this.#answers);
  }

  /** Answers a container from now on, and others about it. A failure is only reported: a container without names still runs. */
  async serve(containerId: string, namespacePath: string): Promise<void> {
    this.refresh(containerId);
    if (this.#served.has(containerId)) return;
    const client = newClient(containerId);
    try {
      this.#served.set(containerId, { client, sockets: await this.#open(client, namespacePath) });
      this.refresh(containerId);
    } catch (error) {
      this.#logger.error("names of other containers cannot be answered in a container", {
        container: shortId(containerId),
        error: errorMessage(error),
      });
    }
  }

  /** Takes over what the rows say: names, networks, name servers. */
  refresh(containerId: string): void {
    const endpoints = this.#endpoints.ofContainer(containerId).filter(({ custom, ready }) => custom && ready);
    this.#names.set(containerId, endpoints);
    const served = this.#served.get(containerId);
    if (served !== undefined) served.client.nameservers = parseServers(this.#endpoints.nameservers(containerId));
  }

  async #open(client: DnsClient, namespacePath: string): Promise<Sockets> {
    for (let attempt = 0; ; attempt++) {
      const port = attempt === 0 ? PORT : 0;
      try {
        return await this.#openAt(client, namespacePath, port);
      } catch (error) {
        // Both kinds of socket have to have the same port.
        if (errnoOf(error) !== "EADDRINUSE" || attempt === ATTEMPTS) throw error;
      }
    }
  }

  async #openAt(client: DnsClient, namespacePath: string, wanted: number): Promise<Sockets> {
    const { listener, opening } = withNetworkNamespace(namespacePath, () => {
      const listener = this.#streams.listen(client, { hostname: RESOLVER_ADDRESS, port: wanted });
      redirectResolver(listener.port, { replace: listener.port !== PORT });
      // Binds before it returns; what is promised is only the word of it.
      const opening = Bun.udpSocket({
        hostname: RESOLVER_ADDRESS,
        port: listener.port,
        socket: { data: (socket, data, port, address) => this.#receive(socket, data, { port, address }), error() {} },
      });
      return { listener, opening };
    });
    try {
      const socket = await opening;
      socket.unref();
      this.#clients.set(socket, client);
      return {
        close: () => {
          this.#clients.delete(socket);
          socket.close();
          listener.stop(true);
        },
      };
    } catch (error) {
      listener.stop(true);
      throw error;
    }
  }

  #receive(
    socket: udp.Socket<"buffer">,
    query: Buffer,
    from: { readonly port: number; readonly address: string },
  ): void {
    const client = this.#clients.get(socket);
    if (client === undefined) return;
    const send = (answer: Uint8Array | undefined): void => {
      // It may have been closed while the outside was asked.
      if (answer !== undefined && this.#clients.has(socket)) socket.send(answer, from.port, from.address);
    };
    const answer = this.#answers.answer(client, query, "udp");
    if (answer instanceof Promise) answer.then(send, () => {});
    else send(answer);
  }

  stop(containerId: string): void {
    this.#names.remove(containerId);
    this.#served.get(containerId)?.sockets.close();
    this.#served.delete(containerId);
  }

  close(): void {
    for (const containerId of [...this.#served.keys()]) this.stop(containerId);
  }
}
