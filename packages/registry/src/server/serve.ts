import type { Logger } from "@slipway/base";
import { MAX_MANIFEST_SIZE } from "@slipway/oci";
import { type Gate, handle } from "./api/handler.ts";
import type { Limits, RegistryEvent } from "./api/parts.ts";
import { Uploads } from "./api/uploads.ts";
import { bunFront } from "./http/bun-front.ts";
import type { Front, TlsPair } from "./http/front.ts";
import { nodeFront } from "./http/node-front.ts";
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
  readonly tls?: TlsPair;
}

const HOUR = 3_600_000;

export const DEFAULT_LIMITS: Limits = {
  manifest: MAX_MANIFEST_SIZE,
  blob: 2 ** 40,
  uploads: 10_000,
  grace: 24 * HOUR,
};

const OPEN_GATE: Gate = { admit: () => ({ allows: () => true }) };

/** A registry that answers HTTP requests (OCI distribution specification 1.1). */
export class RegistryServer {
  readonly #front: Front;
  readonly #storage: Storage;

  static async start(options: RegistryOptions, listen: ListenOptions): Promise<RegistryServer> {
    const { storage, log } = options;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const parts = { storage, limits, log, announce: (_event: RegistryEvent) => {}, admit: async () => {} };
    const handlers = { parts, uploads: new Uploads(parts), gate: OPEN_GATE };
    const answer = (request: Request) => {
      const [path, search] = splitUrl(request.url);
      return handle(handlers, request, path, search);
    };
    const front = storage.hasFiles ? bunFront({ ...listen, answer }) : await nodeFront({ ...listen, answer });
    return new RegistryServer(front, storage);
  }

  private constructor(front: Front, storage: Storage) {
    this.#front = front;
    this.#storage = storage;
  }

  get port(): number {
    return this.#front.port;
  }

  /** Waits for the requests that are being answered, then closes the storage. */
  async stop(): Promise<void> {
    await this.#front.stop();
    await this.#storage.close();
  }
}

/** Path and query of `http://host/path?query`, as they were sent. */
function splitUrl(url: string): readonly [path: string, search: string] {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const mark = url.indexOf("?", start);
  return mark < 0 ? [url.slice(start), ""] : [url.slice(start, mark), url.slice(mark + 1)];
}
