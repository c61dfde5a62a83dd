import { ApiError } from "../errors.ts";
import { connectionError, type EngineClient, type Query, readRefusal, tlsOptions } from "./engine-client.ts";

/** A connection that stopped speaking HTTP: what we write is the process's input, what we read is its output. */
export interface RawConnection {
  /** Whether output comes in frames (no terminal) or raw. */
  readonly multiplexed: boolean;
  write(chunk: Uint8Array): Promise<void>;
  /** Ends the input; output may go on. */
  closeWrite(): void;
  close(): void;
  chunks(): AsyncIterable<Uint8Array>;
}

/**
 * Sends a request that takes the connection over (`101 UPGRADED`). Throws `ApiError` when the engine refuses.
 * Resolves when the engine has answered, so that nothing written afterwards can be lost.
 */
export async function hijack(client: EngineClient, path: string, query: Query, json?: unknown): Promise<RawConnection> {
  await client.negotiate();
  const body = json === undefined ? "" : JSON.stringify(json);
  const lines = [
    `POST ${client.target(path, query)} HTTP/1.1`,
    `Host: ${client.host.kind === "unix" ? "engine" : client.host.hostname}`,
    ...Object.entries(client.headers).map(([name, value]) => `${name}: ${value}`),
    "Connection: Upgrade",
    "Upgrade: tcp",
    ...(json === undefined ? [] : ["Content-Type: application/json"]),
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  const connection = new Connection();
  await connection.open(client, `${lines.join("\r\n")}\r\n\r\n${body}`);
  return connection;
}

class Connection implements RawConnection {
  multiplexed = true;
  #socket: Bun.Socket | undefined;
  #received: Uint8Array[] = [];
  #ended = false;
  #failure: unknown;
  #wake: (() => void) | undefined;
  #drained: (() => void) | undefined;

  async open(client: EngineClient, request: string): Promise<void> {
    const { host } = client;
    const where =
      host.kind === "unix"
        ? { unix: host.path }
        : {
            hostname: host.hostname,
            port: host.port,
            ...(host.tls === undefined ? {} : { tls: tlsOptions(host.tls) }),
          };
    try {
      this.#socket = await Bun.connect({
        ...where,
        allowHalfOpen: true,
        socket: this.#handlers(),
      } as Bun.UnixSocketOptions<undefined>);
    } catch (error) {
      throw connectionError(host, error);
    }
    await this.write(Buffer.from(request));
    await this.#readHead();
  }

  #handlers(): Bun.SocketHandler {
    return {
      data: (_socket, data) => {
        // The buffer belongs to the socket and is used again.
        this.#received.push(new Uint8Array(data));
        this.#wake?.();
      },
      drain: () => this.#drained?.(),
      end: () => this.#finish(),
      close: () => this.#finish(),
      error: (_socket, error) => {
        this.#failure = error;
        this.#finish();
      },
    };
  }

  #finish(): void {
    this.#ended = true;
    this.#wake?.();
    this.#drained?.();
  }

  async #readHead(): Promise<void> {
    let head = Buffer.alloc(0);
    for await (const chunk of this.chunks()) {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) continue;
      const text = head.subarray(0, end).toString();
      const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0);
      const rest = head.subarray(end + 4);
      if (status !== 101 && status !== 200) throw await this.#refusal(status, rest, text);
      this.multiplexed = !/^content-type:\s*application\/vnd\.docker\.raw-stream/im.test(text);
      if (rest.length > 0) this.#received.unshift(rest);
      return;
    }
    throw this.#failure ?? new ApiError(502, "the engine closed the connection without an answer");
  }

  async #refusal(status: number, start: Uint8Array, head: string): Promise<ApiError> {
    const length = Number(/^content-length:\s*(\d+)/im.exec(head)?.[1] ?? Number.NaN);
    let body = Buffer.from(start);
    if (!(body.length >= length)) {
      for await (const chunk of this.chunks()) {
        body = Buffer.concat([body, chunk]);
        if (body.length >= length || body.length > 64 * 1024) break;
      }
    }
    this.close();
    // A chunked body has its lengths around the document.
    const document = /\{[\s\S]*\}/.exec(body.toString())?.[0] ?? body.toString().trim();
    const { reason, hint } = readRefusal(document, `the engine answered with status ${status}`);
    return new ApiError(status, reason, hint);
  }

  async *chunks(): AsyncIterable<Uint8Array> {
    for (;;) {
      const chunk = this.#received.shift();
      if (chunk !== undefined) {
        yield chunk;
        continue;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  async write(chunk: Uint8Array): Promise<void> {
    let rest = chunk;
    while (rest.length > 0 && this.#socket !== undefined && !this.#ended) {
      const written = this.#socket.write(rest);
      if (written < 0) return;
      rest = rest.subarray(written);
      if (rest.length === 0) return;
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
      this.#drained = undefined;
    }
  }

  closeWrite(): void {
    this.#socket?.shutdown();
  }

  close(): void {
    this.#finish();
    this.#socket?.end();
  }
}
