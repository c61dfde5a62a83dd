import { describeError, errorCode, type Logger, SlipwayError } from "@slipway/base";
import { formatApiVersion, MAX_API_VERSION, splitApiVersion } from "./api-version.ts";
import type { Backends } from "./backend.ts";
import { Call } from "./call.ts";
import { errorReply, statusOf } from "./error-reply.ts";
import type { ConnectionHandler, IncomingRequest } from "./http/connection.ts";
import { type ListenAddress, type Listener, listen } from "./http/listener.ts";
import { empty, type Reply } from "./http/reply.ts";
import { Query } from "./query.ts";
import { Router } from "./router.ts";
import { buildRoutes } from "./routes/build.ts";
import { containerStreamRoutes } from "./routes/container-streams.ts";
import { containerUsageRoutes } from "./routes/container-usage.ts";
import { containerRoutes } from "./routes/containers.ts";
import { execRoutes } from "./routes/execs.ts";
import { fileRoutes } from "./routes/files.ts";
import { imageArchiveRoutes } from "./routes/image-archives.ts";
import { imageRoutes } from "./routes/images.ts";
import { networkRoutes } from "./routes/networks.ts";
import { refusedRoutes } from "./routes/refused.ts";
import { registryRoutes } from "./routes/registry.ts";
import { slipwayBuildRoutes } from "./routes/slipway-build.ts";
import { slipwayFileRoutes } from "./routes/slipway-files.ts";
import { slipwayImageRoutes } from "./routes/slipway-images.ts";
import { slipwayPruneRoutes } from "./routes/slipway-prune.ts";
import { slipwayTrashRoutes } from "./routes/slipway-trash.ts";
import { systemRoutes } from "./routes/system.ts";
import { volumeRoutes } from "./routes/volumes.ts";

export interface ApiServerOptions {
  readonly backends: Backends;
  readonly addresses: readonly ListenAddress[];
  readonly log: Logger;
}

export interface ApiServer {
  /** Where it can be reached, one for each of the addresses that were asked for. */
  readonly addresses: readonly string[];
  /** Stops listening at once, lets answers end for at most `timeout` milliseconds. */
  close(timeout: number): Promise<void>;
}

/** Serves the Engine API. Throws `conflict` or `unavailable` when an address cannot be had; then none is served. */
export async function serveApi(options: ApiServerOptions): Promise<ApiServer> {
  const router = createRouter(options.backends);
  const listeners: Listener[] = [];
  const closeAll = (timeout: number) => {
    const deadline = timeout > 0 ? AbortSignal.timeout(timeout) : AbortSignal.abort();
    return Promise.all(listeners.map((listener) => listener.close(deadline)));
  };
  try {
    for (const address of options.addresses) {
      listeners.push(await listen(address, new ApiHandler(router, options, doorOf(address))));
    }
  } catch (error) {
    await closeAll(0);
    throw error;
  }
  return {
    addresses: listeners.map((listener) => listener.address),
    close: async (timeout) => void (await closeAll(timeout)),
  };
}

function doorOf(address: ListenAddress): Door {
  if (address.kind === "unix") return "socket";
  return address.tls?.clientCa === undefined ? "loopback" : "certificates";
}

function createRouter(backends: Backends): Router {
  return new Router([
    systemRoutes(backends),
    containerRoutes(backends),
    containerStreamRoutes(backends),
    containerUsageRoutes(backends),
    execRoutes(backends),
    fileRoutes(backends),
    imageRoutes(backends),
    registryRoutes(backends),
    imageArchiveRoutes(backends),
    volumeRoutes(backends),
    networkRoutes(backends),
    buildRoutes(backends),
    slipwayBuildRoutes(backends),
    slipwayFileRoutes(backends),
    slipwayImageRoutes(backends),
    slipwayPruneRoutes(backends),
    slipwayTrashRoutes(backends),
    refusedRoutes(),
  ]);
}

class ApiHandler implements ConnectionHandler {
  readonly #router: Router;
  readonly #log: Logger;
  readonly #door: Door;
  #headers: Readonly<Record<string, string>>;
  #second = 0;

  constructor(router: Router, options: ApiServerOptions, door: Door) {
    this.#router = router;
    this.#log = options.log;
    this.#door = door;
    this.#headers = {
      "Api-Version": formatApiVersion(MAX_API_VERSION),
      "Docker-Experimental": "false",
      Ostype: "linux",
      Server: `Slipway/${options.backends.system.version().version} (linux)`,
    };
  }

  /** With the date, made anew once a second at most. */
  get commonHeaders(): Readonly<Record<string, string>> {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#headers = { ...this.#headers, Date: new Date(second * 1000).toUTCString() };
    }
    return this.#headers;
  }

  async handle(request: IncomingRequest): Promise<Reply> {
    const { method, target } = request.head;
    const began = performance.now();
    try {
      if (this.#door !== "socket") refuseBrowsers(request, this.#door);
      const reply = await this.#route(request);
      this.#log.debug("request", { method, path: target, ms: Math.round((performance.now() - began) * 10) / 10 });
      return reply;
    } catch (error) {
      if (statusOf(error) === 500) {
        this.#log.error("request failed", {
          method,
          path: target,
          error: describeError(error),
          code: errorCode(error),
        });
      } else {
        this.#log.debug("request refused", { method, path: target, error: describeError(error) });
      }
      return errorReply(error);
    }
  }

  refuse(error: unknown): Reply {
    return errorReply(error);
  }

  onBroken(request: IncomingRequest, error: unknown): void {
    const { method, target } = request.head;
    const level = request.signal.aborted || errorCode(error) === "cancelled" ? "debug" : "error";
    this.#log[level]("answer broke off", { method, path: target, error: describeError(error) });
  }

  async #route(request: IncomingRequest): Promise<Reply> {
    const { head } = request;
    const mark = head.target.indexOf("?");
    const full = mark < 0 ? head.target : head.target.slice(0, mark);
    const { version, path } = splitApiVersion(full);
    // Docker answers these for every path, known or not.
    if (head.method === "OPTIONS") return empty(200);
    const { handler, parameters } = this.#router.find(head.method, path);
    const query = new Query(mark < 0 ? "" : head.target.slice(mark + 1));
    return await handler(new Call(request, { version, query, parameters }));
  }
}

/** How a listener knows whom it serves: by the permissions of its file, by the machine, or by their certificates. */
type Door = "socket" | "loopback" | "certificates";

/**
 * A page in a browser on this machine can send requests to loopback addresses: by name, after its name was bound to
 * 127.0.0.1, or across origins. No client of the API does either. An engine with a certificate has a name of its own.
 */
function refuseBrowsers({ head }: IncomingRequest, door: Exclude<Door, "socket">): void {
  const host = head.headers
    .get("host")
    ?.replace(/:\d+$/, "")
    .replace(/^\[|\]$/g, "")
    .toLowerCase();
  const isLocal = host === undefined || host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
  if (!isLocal && door === "loopback") throw new SlipwayError("forbidden", "the Host header names another machine");
  if (head.headers.has("origin")) throw new SlipwayError("forbidden", "requests from web pages are not answered");
}
