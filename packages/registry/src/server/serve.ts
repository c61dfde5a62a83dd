import type { Logger } from "@slipway/base";
import { MAX_MANIFEST_SIZE } from "@slipway/oci";
import { type Gate, handle } from "./api/handler.ts";
import type { Limits, RegistryEvent } from "./api/parts.ts";
import { Uploads } from "./api/uploads.ts";
import type { Storage } from "./storage/contents.ts";

export interface RegistryOptions {
  readonly storage: Storage;
  readonly log: Logger;
  readonly limits?: Partial<Limits>;
}

export interface ListenOptions {
  readonly hostname: string;
  /** 0 for any free one. */
  readonly port: number;
}

const HOUR = 3_600_000;

export const DEFAULT_LIMITS: Limits = {
  manifest: MAX_MANIFEST_SIZE,
  blob: 2 ** 40,
  uploads: 10_000,
  grace: 24 * HOUR,
};

/** Seconds that a connection may be silent. */
const IDLE_SECONDS = 120;

const OPEN_GATE: Gate = { admit: () => ({ allows: () => true }) };

/** A registry that answers HTTP requests (OCI distribution specification 1.1). */
export class RegistryServer {
  readonly #server: Bun.Server<undefined>;
  readonly #storage: Storage;

  static async start(options: RegistryOptions, listen: ListenOptions): Promise<RegistryServer> {
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const parts = {
      storage: options.storage,
      limits,
      log: options.log,
      announce: (_event: RegistryEvent) => {},
      admit: async () => {},
    };
    const handlers = { parts, uploads: new Uploads(parts), gate: OPEN_GATE };
    const server = Bun.serve({
      ...listen,
      idleTimeout: IDLE_SECONDS,
      // Bodies are streamed and bounded by the handlers.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: (request) => {
        const [path, search] = splitUrl(request.url);
        return handle(handlers, request, path, search);
      },
    });
    return new RegistryServer(server, options.storage);
  }

  private constructor(server: Bun.Server<undefined>, storage: Storage) {
    this.#server = server;
    this.#storage = storage;
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  /** Waits for the requests that are being answered, then closes the storage. */
  async stop(): Promise<void> {
    await this.#server.stop();
    await this.#storage.close();
  }
}

/** Path and query of `http://host/path?query`, as they were sent. */
function splitUrl(url: string): readonly [path: string, search: string] {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const mark = url.indexOf("?", start);
  return mark < 0 ? [url.slice(start), ""] : [url.slice(start, mark), url.slice(mark + 1)];
}
