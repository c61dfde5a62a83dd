import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";

export interface StreamingBehaviour {
  /** What the process writes, frame by frame, once started. */
  readonly output?: readonly (readonly [stream: 1 | 2, text: string])[];
  readonly exitCode?: number;
  readonly tty?: boolean;
  /** The process copies its input to its output and ends with it. */
  readonly echo?: boolean;
  /** `POST /start` is refused with this. */
  readonly startError?: { readonly status: number; readonly message: string };
  /** The image is missing until it has been pulled. */
  readonly missingImage?: boolean;
}

/** An engine with one container, made of Node's HTTP server so that it can hand connections over. */
export class StreamingEngine implements AsyncDisposable {
  readonly socket: string;
  readonly requests: { readonly line: string; readonly body: unknown }[] = [];
  readonly input: Buffer[] = [];
  readonly #behaviour: StreamingBehaviour;
  readonly #server: Server;
  #attached: Duplex | undefined;
  #pulled = false;
  #exited: (() => void)[] = [];
  #over = false;

  private constructor(socket: string, behaviour: StreamingBehaviour) {
    this.socket = socket;
    this.#behaviour = behaviour;
    this.#server = createServer((request, response) => {
      void this.#answer(request).then(({ status = 200, body, wait }) => {
        const text = body === undefined ? "" : JSON.stringify(body);
        response.writeHead(status, { "Content-Type": "application/json", "Api-Version": "1.50" });
        // A wait answers with its head at once, and with its body at the exit.
        if (wait) {
          response.flushHeaders();
          this.#atExit(() => response.end(JSON.stringify({ StatusCode: behaviour.exitCode ?? 0 })));
        } else response.end(text);
      });
    });
    this.#server.on("upgrade", (request, connection) => void this.#upgrade(request, connection));
  }

  static async start(socket: string, behaviour: StreamingBehaviour): Promise<StreamingEngine> {
    const engine = new StreamingEngine(socket, behaviour);
    await new Promise<void>((resolve) => engine.#server.listen(socket, resolve));
    return engine;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#attached?.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  lines(): string[] {
    return this.requests.map(({ line }) => line);
  }

  #atExit(listener: () => void): void {
    if (this.#over) listener();
    else this.#exited.push(listener);
  }

  #exit(): void {
    this.#over = true;
    for (const listener of this.#exited) listener();
    this.#exited = [];
  }

  async #answer(request: IncomingMessage): Promise<{ status?: number; body?: unknown; wait?: boolean }> {
    const line = `${request.method} ${(request.url ?? "").replace(/^\/v\d+\.\d+/, "")}`;
    const body = await readBody(request);
    this.requests.push({ line, body });
    const { startError, missingImage, exitCode, tty } = this.#behaviour;
    if (line.startsWith("POST /images/create")) {
      this.#pulled = true;
      return { body: { status: "Pulled" } };
    }
    if (line.startsWith("POST /containers/create")) {
      if (missingImage && !this.#pulled) return { status: 404, body: { message: "No such image: busybox:latest" } };
      return { status: 201, body: { Id: "c0ffee", Warnings: [] } };
    }
    if (line.includes("/wait")) return { wait: true };
    if (line.endsWith("/start") && line.startsWith("POST /containers")) {
      if (startError !== undefined) {
        this.#exit();
        return { status: startError.status, body: { message: startError.message } };
      }
      this.#run();
      return { status: 204 };
    }
    if (line.startsWith("POST /containers/web/exec")) return { status: 201, body: { Id: "e1" } };
    if (line.startsWith("GET /exec/e1/json")) return { body: { ExitCode: exitCode ?? 0 } };
    if (/^GET \/containers\/[^/]+\/json/.test(line)) {
      const state = { Running: true, Paused: false, Restarting: false };
      return { body: { Id: "c0ffee", Config: { Tty: tty === true, OpenStdin: true }, HostConfig: {}, State: state } };
    }
    return { status: 204 };
  }

  async #upgrade(request: IncomingMessage, connection: Duplex): Promise<void> {
    const line = `${request.method} ${(request.url ?? "").replace(/^\/v\d+\.\d+/, "")}`;
    this.#attached = connection;
    const type = this.#behaviour.tty ? "raw-stream" : "multiplexed-stream";
    const head = [
      "HTTP/1.1 101 UPGRADED",
      `Content-Type: application/vnd.docker.${type}`,
      "Connection: Upgrade",
      "Upgrade: tcp",
    ];
    connection.write(`${head.join("\r\n")}\r\n\r\n`);
    connection.on("error", () => {});
    const isExec = line.startsWith("POST /exec/");
    const length = Number(request.headers["content-length"] ?? 0);
    let body = Buffer.alloc(0);
    connection.on("data", (chunk: Buffer) => {
      const missing = Math.max(length - body.length, 0);
      body = Buffer.concat([body, chunk.subarray(0, missing)]);
      const rest = chunk.subarray(missing);
      if (rest.length === 0) return;
      this.input.push(rest);
      if (this.#behaviour.echo) this.#write(1, rest.toString());
    });
    connection.on("end", () => {
      if (!this.#behaviour.echo) return;
      connection.end();
      this.#exit();
    });
    this.requests.push({ line, body: undefined });
    if (isExec) this.#run();
  }

  #run(): void {
    const { output = [], echo } = this.#behaviour;
    for (const [stream, text] of output) this.#write(stream, text);
    if (echo) return;
    this.#attached?.end();
    this.#exit();
  }

  #write(stream: 1 | 2, text: string): void {
    const data = Buffer.from(text);
    if (this.#behaviour.tty) {
      this.#attached?.write(data);
      return;
    }
    const header = Buffer.alloc(8);
    header[0] = stream;
    header.writeUInt32BE(data.length, 4);
    this.#attached?.write(Buffer.concat([header, data]));
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return text === "" ? undefined : (JSON.parse(text) as unknown);
}
