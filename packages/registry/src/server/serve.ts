import type { Logger } from "@slipway/base";
import { MAX_MANIFEST_SIZE } from "@slipway/oci";
import { type Exchange, type Gate, type Handlers, handle } from "./api/handler.ts";
import type { Limits } from "./api/parts.ts";
import { Uploads } from "./api/uploads.ts";
import { type AuthOptions, openAuth } from "./auth/auth.ts";
import { PullThrough } from "./cache/pull-through.ts";
import { CollectionTimer } from "./collect/timer.ts";
import { NO_RULES, type RegistryRules } from "./config.ts";
import { bunFront } from "./http/bun-front.ts";
import type { Front, TlsPair } from "./http/front.ts";
import { nodeFront } from "./http/node-front.ts";
import { accessLine } from "./observe/access-log.ts";
import { Metrics } from "./observe/metrics.ts";
import { Webhooks } from "./observe/webhooks.ts";
import { Quotas } from "./repository/quotas.ts";
import type { Storage } from "./storage/contents.ts";

export interface RegistryOptions {
  readonly storage: Storage;
  readonly log: Logger;
  readonly limits?: Partial<Limits>;
  /** Who may do what; everybody may do everything when it is absent. */
  readonly auth?: AuthOptions;
  readonly rules?: Partial<RegistryRules>;
  /** Receives one line of JSON for each request. */
  readonly access?: (line: string) => void;
  /** Milliseconds between two collections; none when it is absent. */
  readonly collectEvery?: number;
}

export interface ListenOptions {
  readonly hostname: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly tls?: TlsPair;
  /** Where operators ask for metrics and health without TLS and without being asked who they are. */
  readonly operations?: { readonly hostname: string; readonly port: number };
}

const HOUR = 3_600_000;

export const DEFAULT_LIMITS: Limits = {
  manifest: MAX_MANIFEST_SIZE,
  blob: 2 ** 40,
  uploads: 10_000,
  grace: 24 * HOUR,
};

const OPEN_GATE: Gate = { admit: () => ({ allows: () => true }) };
/** What events and metrics that wait may still take when the server ends, in milliseconds. */
const FLUSH_MS = 5000;

/** A registry that answers HTTP requests (OCI distribution specification 1.1). */
export class RegistryServer {
  readonly #front: Front;
  readonly #storage: Storage;
  readonly #operationsFront: Front | undefined;
  readonly #webhooks: Webhooks;
  readonly #collection: CollectionTimer;
  readonly #state: { isStopping: boolean };

  static async start(options: RegistryOptions, listen: ListenOptions): Promise<RegistryServer> {
    const { storage, log } = options;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const rules = { ...NO_RULES, ...options.rules };
    const webhooks = new Webhooks(rules.webhooks, `${listen.hostname}:${listen.port}`, log);
    const quotas = new Quotas(storage, rules.quotas);
    const parts = {
      storage,
      limits,
      log,
      announce: webhooks.send.bind(webhooks),
      admit: quotas.admit.bind(quotas),
    };
    const auth = options.auth && (await openAuth(options.auth, storage, listen.tls !== undefined));
    const uploads = new Uploads(parts);
    const cache = new PullThrough(storage, rules.upstreams, { log, blobLimit: limits.blob });
    const handlers: Handlers = { parts, uploads, gate: auth?.gate ?? OPEN_GATE, cache };
    const collection = new CollectionTimer(storage, { rules: rules.retention, grace: limits.grace, log });
    const metrics = new Metrics([
      { name: "uploads_open", help: "Uploads that this process began.", type: "gauge", read: () => uploads.open },
      {
        name: "events_dropped_total",
        help: "Events that no webhook took.",
        type: "counter",
        read: () => webhooks.dropped,
      },
      ...collection.gauges,
    ]);
    const state = { isStopping: false };
    const operations = { metrics: auth === undefined ? metrics : undefined, storage, state };
    const answer = async (request: Request, peer: string) => {
      const began = performance.now();
      metrics.begin();
      const [path, search] = splitUrl(request.url);
      const exchange: Exchange = { request, path, search, peer, route: "none" };
      const response =
        (path.startsWith("/v2") ? undefined : await operate(operations, path)) ??
        (path === "/token" ? await auth?.token?.(request, search) : undefined) ??
        (await handle(handlers, exchange));
      const seconds = (performance.now() - began) / 1000;
      const { status } = response;
      const bytes = Number(response.headers.get("content-length") ?? 0);
      metrics.end({ route: exchange.route, method: request.method, status }, seconds, bytes);
      options.access?.(accessLine(exchange, { status, bytes, seconds }));
      return response;
    };
    const front = storage.hasFiles ? bunFront({ ...listen, answer }) : await nodeFront({ ...listen, answer });
    const inside = listen.operations && {
      ...listen.operations,
      answer: async (request: Request) =>
        (await operate({ metrics, storage, state }, splitUrl(request.url)[0])) ?? new Response("", { status: 404 }),
    };
    const operationsFront = inside && bunFront(inside);
    if (options.collectEvery !== undefined) collection.start(options.collectEvery);
    return new RegistryServer({ front, operationsFront, storage, webhooks, collection, state });
  }

  private constructor(made: {
    front: Front;
    operationsFront: Front | undefined;
    storage: Storage;
    webhooks: Webhooks;
    collection: CollectionTimer;
    state: { isStopping: boolean };
  }) {
    this.#front = made.front;
    this.#storage = made.storage;
    this.#operationsFront = made.operationsFront;
    this.#webhooks = made.webhooks;
    this.#collection = made.collection;
    this.#state = made.state;
  }

  get port(): number {
    return this.#front.port;
  }

  /** The port of `operations`. */
  get operationsPort(): number | undefined {
    return this.#operationsFront?.port;
  }

  /** New certificates for connections from now on. */
  reload(tls: TlsPair): void {
    this.#front.reload(tls);
  }

  /**
   * Tells load balancers that it is going, takes no further connections, waits until what is under way is answered, at
   * most `patience` milliseconds, and closes the storage. What an unfinished upload has stored stays.
   */
  async stop(patience = 30_000): Promise<void> {
    this.#state.isStopping = true;
    await this.#collection.stop();
    await this.#front.stop(patience);
    await this.#operationsFront?.stop(0);
    await this.#webhooks.flush(FLUSH_MS);
    await this.#storage.close();
  }
}

interface Operations {
  /** Open to all only where everything is. */
  readonly metrics: Metrics | undefined;
  readonly storage: Storage;
  readonly state: { readonly isStopping: boolean };
}

/** What operators ask for: is it alive, is it ready, what does it do. */
async function operate({ metrics, storage, state }: Operations, path: string): Promise<Response | undefined> {
  if (path === "/healthz") return new Response("ok\n");
  if (path === "/metrics" && metrics !== undefined) {
    return new Response(metrics.render(), { headers: { "Content-Type": "text/plain; version=0.0.4" } });
  }
  if (path !== "/readyz") return undefined;
  if (state.isStopping) return new Response("stopping\n", { status: 503 });
  try {
    await storage.records.ping();
    return new Response("ready\n");
  } catch {
    return new Response("the storage does not answer\n", { status: 503 });
  }
}

/** Path and query of `http://host/path?query`, as they were sent. */
function splitUrl(url: string): readonly [path: string, search: string] {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const mark = url.indexOf("?", start);
  return mark < 0 ? [url.slice(start), ""] : [url.slice(start, mark), url.slice(mark + 1)];
}
