import { SlipwayError } from "@slipway/base";
import { BodyDecoder } from "./body-decoder.ts";
import { ByteQueue } from "./byte-queue.ts";
import type { BodyWriter, RawStream, Reply } from "./reply.ts";
import { encodeChunk, encodeHead, LAST_CHUNK, reasonOf } from "./reply-encoding.ts";
import { MAX_HEAD_BYTES, parseRequestHead, type RequestHead } from "./request-head.ts";
import { SocketWriter, type WritableSocket } from "./socket-writer.ts";

export interface ConnectionSocket extends WritableSocket {
  pause(): unknown;
  resume(): unknown;
  /** Closes both directions at once. */
  terminate(): unknown;
  /** Of a unix socket. */
  readonly fd?: number;
}

export interface IncomingRequest {
  readonly head: RequestHead;
  readonly body: ByteQueue;
  /** Fires when the client has gone before the answer was complete. */
  readonly signal: AbortSignal;
  /** The connection's descriptor, if it is a unix socket. */
  readonly socket: number | undefined;
}

export interface ConnectionHandler {
  /** Never throws: failures are replies. */
  handle(request: IncomingRequest): Promise<Reply>;
  /** The reply to bytes that are no request. */
  refuse(error: unknown): Reply;
  /** A reply broke after its head was sent. */
  onBroken(request: IncomingRequest, error: unknown): void;
  readonly commonHeaders: Readonly<Record<string, string>>;
}

const BODY_HIGH_WATER = 256 * 1024;
/** Bytes of an unread body that are swallowed to keep the connection; above that it is closed. */
const MAX_SWALLOWED = 256 * 1024;
const HEAD_END = Buffer.from("\r\n\r\n");
const CONTINUE = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");
const NO_BYTES = new Uint8Array(0);

/** A request and what became of it so far. */
class Exchange implements IncomingRequest {
  readonly head: RequestHead;
  readonly body: ByteQueue;
  /** Where the client's bytes go: the request's body, after a hijack the raw stream. */
  sink: ByteQueue;
  readonly decoder: BodyDecoder;
  /** `body`: hijacked before the body's end, so the stream is what is still to come of the body. */
  hijacked: false | "raw" | "body" = false;
  #controller: AbortController | undefined;
  #departed = false;

  readonly #connection: ConnectionSocket;

  constructor(head: RequestHead, body: ByteQueue, connection: ConnectionSocket) {
    this.head = head;
    this.body = body;
    this.#connection = connection;
    this.sink = body;
    this.decoder = new BodyDecoder(head.body);
  }

  /** Made when somebody asks: most requests are answered at once. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#departed) this.#controller.abort(departed());
    return this.#controller.signal;
  }

  get socket(): number | undefined {
    const { fd } = this.#connection;
    return fd === undefined || fd < 0 ? undefined : fd;
  }

  depart(): void {
    this.#departed = true;
    this.#controller?.abort(departed());
  }
}

/**
 * One HTTP/1.1 connection, from its first byte to its last: requests one after the other, bodies in both directions with
 * back-pressure, and hijacking with both halves closed on their own. It knows nothing of routes.
 *
 * This is not `Bun.serve` nor `node:http`: the first cannot hijack, the second costs 25 MB more and three times the
 * time per request.
 */
export class Connection {
  readonly #socket: ConnectionSocket;
  readonly #handler: ConnectionHandler;
  readonly #writer: SocketWriter;
  /** Bytes of the next request's head, or after a request that is being answered. */
  #pending: Uint8Array = NO_BYTES;
  #exchange: Exchange | undefined;
  #inputEnded = false;
  #paused = false;
  #refused = false;

  constructor(socket: ConnectionSocket, handler: ConnectionHandler) {
    this.#socket = socket;
    this.#handler = handler;
    this.#writer = new SocketWriter(socket);
  }

  /** Whether a request is being answered. */
  get busy(): boolean {
    return this.#exchange !== undefined;
  }

  onData(chunk: Uint8Array): void {
    if (this.#refused) return;
    try {
      const exchange = this.#exchange;
      if (exchange === undefined) this.#takeHead(this.#join(chunk));
      else if (exchange.hijacked === "raw") exchange.sink.push(chunk);
      else this.#takeBody(exchange, chunk);
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** The client closed its write side. */
  onEnd(): void {
    this.#inputEnded = true;
    const exchange = this.#exchange;
    if (exchange === undefined) {
      this.#writer.end();
      return;
    }
    if (exchange.hijacked || exchange.decoder.done) exchange.sink.end();
    else exchange.sink.fail(new SlipwayError("invalid", "the request body ended early"));
    // Go's server, which clients know, also takes this for a departure: nobody half-closes a plain request.
    if (!exchange.hijacked) exchange.depart();
  }

  onDrain(): void {
    this.#writer.onDrain();
  }

  onClose(): void {
    this.#writer.onClose();
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    if (exchange.hijacked) exchange.sink.end();
    else exchange.sink.fail(departed());
    exchange.depart();
  }

  /** Ends the connection after the answer that is being given, or now. */
  shutDown(): void {
    this.#refused = true;
    if (!this.busy) this.#socket.terminate();
  }

  /** Tells the handler of the answer that is being given to stop, as if the client had gone. */
  cancel(): void {
    this.#exchange?.depart();
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #join(chunk: Uint8Array): Uint8Array {
    return this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
  }

  #takeHead(bytes: Uint8Array): void {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    // Empty lines before a request are allowed (RFC 9112, section 2.2).
    let start = 0;
    while (buffer[start] === 13 && buffer[start + 1] === 10) start += 2;
    const end = buffer.indexOf(HEAD_END, start);
    if (end < 0 ? buffer.length - start > MAX_HEAD_BYTES : end - start > MAX_HEAD_BYTES) {
      throw new SlipwayError("exhausted", `the request's head is over ${MAX_HEAD_BYTES} bytes`);
    }
    this.#pending = NO_BYTES;
    if (end < 0) {
      this.#pending = buffer.subarray(start);
      return;
    }
    const head = parseRequestHead(buffer.toString("latin1", start, end));
    this.#begin(head, buffer.subarray(end + HEAD_END.length));
  }

  #begin(head: RequestHead, rest: Uint8Array): void {
    const body = new ByteQueue(BODY_HIGH_WATER, (paused) => this.#setPaused(paused));
    const exchange = new Exchange(head, body, this.#socket);
    this.#exchange = exchange;
    if (exchange.decoder.done) body.end();
    if (head.expectsContinue && !exchange.decoder.done) this.#writer.write(CONTINUE)?.catch(() => {});
    // First the answer, then what came along: if that breaks the rules, the answer says so.
    void this.#answer(exchange);
    if (rest.length > 0) this.#takeBody(exchange, rest);
  }

  #takeBody(exchange: Exchange, chunk: Uint8Array): void {
    if (exchange.decoder.done) {
      this.#pending = this.#join(chunk);
      // A pipelined request waits; a client that sends more than one ahead waits too.
      if (this.#pending.length > MAX_HEAD_BYTES) this.#setPaused(true);
      return;
    }
    const rest = exchange.decoder.push(chunk, (data) => exchange.body.push(data));
    if (exchange.decoder.done) exchange.body.end();
    if (rest.length > 0) this.#pending = this.#join(rest);
  }

  async #answer(exchange: Exchange): Promise<void> {
    const reply = await this.#handler.handle(exchange);
    let keep = exchange.head.keepAlive && !this.#inputEnded;
    try {
      if (this.#writer.closed) await abandonReply(reply, exchange.signal);
      else keep = (await this.#send(exchange, reply, keep)) && keep;
    } catch (error) {
      this.#handler.onBroken(exchange, error);
      this.#socket.terminate();
      return;
    }
    await this.#finish(exchange, keep);
  }

  /** Sends the reply; false when the connection cannot be used again. */
  async #send(exchange: Exchange, reply: Reply, keep: boolean): Promise<boolean> {
    const { head } = exchange;
    const common = this.#handler.commonHeaders;
    if (reply.kind === "hijack") {
      await this.#hijack(exchange, reply);
      return false;
    }
    const connection: Record<string, string> = keep ? {} : { Connection: "close" };
    if (reply.kind === "bytes") {
      const bodiless = reply.status === 204 || reply.status === 304;
      const length: Record<string, string> = bodiless ? {} : { "Content-Length": String(reply.body.length) };
      const lines = encodeHead(statusLine(reply.status), { ...common, ...reply.headers, ...length, ...connection });
      const body = head.method === "HEAD" || bodiless ? NO_BYTES : reply.body;
      await this.#writer.write(body.length === 0 ? lines : Buffer.concat([lines, body]));
      return true;
    }
    const chunked = head.minorVersion === 1;
    const framing: Record<string, string> = chunked ? { "Transfer-Encoding": "chunked" } : { Connection: "close" };
    await this.#writer.write(
      encodeHead(statusLine(reply.status), { ...common, ...reply.headers, ...connection, ...framing }),
    );
    if (head.method === "HEAD") return true;
    await reply.run(this.#bodyWriter(exchange, chunked));
    if (chunked) await this.#writer.write(LAST_CHUNK);
    return chunked;
  }

  async #hijack(exchange: Exchange, reply: Extract<Reply, { kind: "hijack" }>): Promise<void> {
    const protocol = reply.upgrade ?? (exchange.head.upgrade === undefined ? undefined : "tcp");
    const status = protocol === undefined ? "HTTP/1.1 200 OK" : "HTTP/1.1 101 UPGRADED";
    const connection: Record<string, string> =
      protocol === undefined ? {} : { Connection: "Upgrade", Upgrade: protocol };
    const input = this.#leaveHttp(exchange);
    await this.#writer.write(encodeHead(status, { ...reply.headers, ...connection }));
    const taken = () => this.#writer.taken(this.#socket.fd);
    const stream: RawStream = { ...this.#bodyWriter(exchange, false), input, taken };
    await reply.run(stream);
  }

  /**
   * From here on all bytes are the stream's, those that came too early included. Clients that cannot upgrade send their
   * side as a chunked request body instead: then that goes on as the stream, without its framing.
   */
  #leaveHttp(exchange: Exchange): ByteQueue {
    if (!exchange.decoder.done) {
      exchange.hijacked = "body";
      return exchange.body;
    }
    const input = new ByteQueue(BODY_HIGH_WATER, (paused) => this.#setPaused(paused));
    const early = this.#pending;
    this.#pending = NO_BYTES;
    input.push(early);
    if (this.#inputEnded) input.end();
    exchange.sink = input;
    exchange.hijacked = "raw";
    return input;
  }

  #bodyWriter(exchange: Exchange, chunked: boolean): BodyWriter {
    const writer = this.#writer;
    return {
      signal: exchange.signal,
      write(data) {
        const bytes = typeof data === "string" ? Buffer.from(data) : data;
        if (bytes.length === 0) return undefined;
        return chunked ? writer.write(...encodeChunk(bytes)) : writer.write(bytes);
      },
    };
  }

  async #finish(exchange: Exchange, keep: boolean): Promise<void> {
    if (!keep || this.#writer.closed || this.#refused || !(await this.#swallowBody(exchange))) {
      // Bytes that still come belong to nobody; they are read so that the kernel does not cut our answer off with a reset.
      this.#refused = true;
      this.#exchange = undefined;
      exchange.sink.abandon();
      this.#writer.end();
      return;
    }
    this.#exchange = undefined;
    this.#setPaused(false);
    if (this.#inputEnded) this.#writer.end();
    else if (this.#pending.length > 0) this.#next();
  }

  #next(): void {
    const bytes = this.#pending;
    this.#pending = NO_BYTES;
    try {
      this.#takeHead(bytes);
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** Reads what the handler left of the body; false when that is too much. */
  async #swallowBody({ body, decoder }: Exchange): Promise<boolean> {
    let swallowed = 0;
    try {
      while (!decoder.done || !body.ended) {
        const chunk = await body.read();
        if (chunk === undefined) return decoder.done;
        if ((swallowed += chunk.length) > MAX_SWALLOWED) return false;
      }
      return true;
    } catch {
      return false;
    }
  }

  #refuse(error: unknown): void {
    this.#refused = true;
    const exchange = this.#exchange;
    if (exchange !== undefined) {
      // Its handler may be waiting for the rest of the body; it answers with this error, and `#finish` closes.
      exchange.body.fail(error);
      return;
    }
    const reply = this.#handler.refuse(error);
    if (reply.kind === "bytes") {
      const headers = { ...reply.headers, "Content-Length": String(reply.body.length), Connection: "close" };
      this.#writer.write(Buffer.concat([encodeHead(statusLine(reply.status), headers), reply.body]))?.catch(() => {});
    }
    this.#writer.end();
  }

  #setPaused(paused: boolean): void {
    if (paused === this.#paused || this.#writer.closed) return;
    this.#paused = paused;
    if (paused) this.#socket.pause();
    else this.#socket.resume();
  }
}

/** A streaming reply that nobody will read still holds things; let it end by its signal. */
async function abandonReply(reply: Reply, signal: AbortSignal): Promise<void> {
  if (reply.kind === "bytes") return;
  const refuse = () => Promise.reject(departed());
  const taken = async () => {};
  await reply.run({ signal, write: refuse, taken, input: (async function* () {})() }).catch(() => {});
}

function statusLine(status: number): string {
  return `HTTP/1.1 ${status} ${reasonOf(status)}`;
}

function departed(): SlipwayError {
  return new SlipwayError("cancelled", "the client closed the connection");
}
