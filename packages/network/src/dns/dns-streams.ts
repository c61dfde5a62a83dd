import type { Socket, TCPSocketListener } from "bun";
import type { DnsAnswers, DnsClient } from "./dns-answers.ts";
import { FrameReader, framed } from "./dns-upstream.ts";

/** Seconds without a byte. */
const IDLE = 10;
/** Connections of one container. */
const CONNECTIONS = 32;
/** Questions of one connection that are being answered. */
const QUESTIONS = 16;
const LONGEST_QUERY = 4096;
/** Bytes of answers that a client has not read. */
const UNREAD = 256 * 1024;

interface Connection {
  readonly reader: FrameReader;
  pending: number;
  unsent: Uint8Array;
}

/** Questions over TCP: for answers that do not fit into a packet. Who asks for too much at once is cut off. */
export class DnsStreams {
  readonly #answers: DnsAnswers;
  readonly #connections = new Map<Socket<DnsClient>, Connection>();
  readonly #counts = new Map<DnsClient, number>();

  constructor(answers: DnsAnswers) {
    this.#answers = answers;
  }

  /** In the calling thread's namespace. */
  listen(client: DnsClient, at: { readonly hostname: string; readonly port: number }): TCPSocketListener<DnsClient> {
    const listener = Bun.listen<DnsClient>({
      ...at,
      data: client,
      socket: {
        open: (socket) => this.#open(socket),
        data: (socket, data) => {
          if (this.#connections.get(socket)?.reader.push(data) === false) socket.terminate();
        },
        drain: (socket) => this.#drain(socket),
        timeout: (socket) => {
          socket.terminate();
        },
        close: (socket) => this.#close(socket),
        error() {},
      },
    });
    listener.unref();
    return listener;
  }

  #open(socket: Socket<DnsClient>): void {
    const count = (this.#counts.get(socket.data) ?? 0) + 1;
    if (count > CONNECTIONS) {
      socket.terminate();
      return;
    }
    this.#counts.set(socket.data, count);
    socket.timeout(IDLE);
    const reader = new FrameReader((query) => this.#ask(socket, query), LONGEST_QUERY);
    this.#connections.set(socket, { reader, pending: 0, unsent: new Uint8Array(0) });
  }

  #ask(socket: Socket<DnsClient>, query: Uint8Array): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return;
    if (connection.pending >= QUESTIONS) {
      socket.terminate();
      return;
    }
    connection.pending++;
    const done = (answer: Uint8Array | undefined): void => {
      connection.pending--;
      if (answer !== undefined) this.#send(socket, framed(answer));
    };
    Promise.resolve(this.#answers.answer(socket.data, query, "tcp")).then(done, () => done(undefined));
  }

  #send(socket: Socket<DnsClient>, bytes: Uint8Array): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return;
    connection.unsent = connection.unsent.length === 0 ? bytes : Buffer.concat([connection.unsent, bytes]);
    if (connection.unsent.length > UNREAD) socket.terminate();
    else this.#drain(socket);
  }

  #drain(socket: Socket<DnsClient>): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined || connection.unsent.length === 0) return;
    const written = socket.write(connection.unsent);
    connection.unsent = connection.unsent.slice(Math.max(written, 0));
  }

  #close(socket: Socket<DnsClient>): void {
    if (!this.#connections.delete(socket)) return;
    const left = (this.#counts.get(socket.data) ?? 1) - 1;
    if (left > 0) this.#counts.set(socket.data, left);
    else this.#counts.delete(socket.data);
  }
}
