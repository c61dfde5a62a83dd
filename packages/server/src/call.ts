import { JsonReader, SlipwayError } from "@slipway/base";
import type { ApiVersion } from "./api-version.ts";
import type { IncomingRequest } from "./http/connection.ts";
import type { RequestHead } from "./http/request-head.ts";
import type { Query } from "./query.ts";

/** Configurations of containers are the largest documents that clients send, and they are small. */
const MAX_JSON_BYTES = 4 * 1024 * 1024;

/** One request, routed: what a handler works with. */
export class Call {
  readonly head: RequestHead;
  readonly version: ApiVersion;
  readonly query: Query;
  readonly #parameters: Readonly<Record<string, string>>;
  readonly #request: IncomingRequest;

  constructor(
    request: IncomingRequest,
    route: {
      readonly version: ApiVersion;
      readonly query: Query;
      readonly parameters: Readonly<Record<string, string>>;
    },
  ) {
    this.head = request.head;
    this.version = route.version;
    this.query = route.query;
    this.#parameters = route.parameters;
    this.#request = request;
  }

  /** Fires when the client has gone. */
  get signal(): AbortSignal {
    return this.#request.signal;
  }

  /** The connection's descriptor, if it is a unix socket. */
  get socket(): number | undefined {
    return this.#request.socket;
  }

  /** A part of the path, decoded. */
  parameter(name: string): string {
    const value = this.#parameters[name];
    if (value === undefined) throw new SlipwayError("internal", `the route has no parameter ${name}`);
    return value;
  }

  header(name: string): string | undefined {
    return this.head.headers.get(name);
  }

  /** The body as it arrives; reading slowly makes the client wait. */
  body(): ReadableStream<Uint8Array> {
    const queue = this.#request.body;
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const chunk = await queue.read();
          if (chunk === undefined) controller.close();
          else controller.enqueue(chunk);
        },
        cancel: () => queue.abandon(),
      },
      { highWaterMark: 0 },
    );
  }

  /** The whole body. Throws `invalid` above `limit` bytes. */
  async bytes(limit = MAX_JSON_BYTES): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of this.#request.body) {
      if ((size += chunk.length) > limit) {
        throw new SlipwayError("invalid", `the request body is larger than ${limit} bytes`);
      }
      chunks.push(chunk);
    }
    return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
  }

  /** The body as JSON; a body that is not there reads as absent fields. Throws `invalid`. */
  async json(limit = MAX_JSON_BYTES): Promise<JsonReader> {
    const body = await this.bytes(limit);
    if (body.length === 0) return new JsonReader(undefined, "request body");
    const type = this.header("content-type")?.split(";")[0]?.trim().toLowerCase();
    if (type !== undefined && type !== "application/json") {
      throw new SlipwayError("invalid", `unsupported Content-Type header (${type}): must be 'application/json'`);
    }
    const reader = JsonReader.parse(body, "request body");
    reader.optional()?.object();
    return reader;
  }
}
