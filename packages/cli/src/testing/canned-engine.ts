import { readFileSync } from "node:fs";
import { join } from "node:path";

const GOLDEN = join(import.meta.dir, "../../golden");

type Documents = Record<string, unknown>;

const SUMMARY = /^(.*)\/(json|df|history)$/;

/**
 * An engine that always has the same containers, images, volumes and networks. Docker's own client was asked about them
 * once (`record-golden.ts`); ours must give the same answers. Moments are so many seconds before now.
 */
export class CannedEngine implements Disposable {
  readonly socket: string;
  /** What was asked: `POST /containers/create?name=x` and the body. */
  readonly requests: { readonly line: string; readonly body: string }[] = [];
  readonly #documents: Documents;
  readonly #server: Bun.Server<undefined>;

  constructor(socket: string) {
    this.socket = socket;
    this.#documents = JSON.parse(readFileSync(join(GOLDEN, "documents.json"), "utf8")) as Documents;
    this.#server = Bun.serve({ unix: socket, fetch: (request) => this.#answer(request) });
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const path = url.pathname.replace(/^\/v\d+\.\d+/, "");
    if (path === "/_ping") return new Response("OK", { headers: VERSION_HEADERS });
    const body = request.method === "GET" ? "" : await request.text();
    this.requests.push({ line: `${request.method} ${path}${url.search}`, body });
    return this.#document(`${request.method} ${path}`, url.searchParams) ?? change(request.method, path, body);
  }

  #document(key: string, query: URLSearchParams): Response | undefined {
    const document = this.#documents[key.replace(/^(GET \/images)\/.+\/history$/, "$1/{name}/history")];
    if (document === undefined) return undefined;
    const aged = SUMMARY.test(key) ? withMoments(document) : document;
    return json(key === "GET /containers/json" ? selected(aged as ContainerDocument[], query) : aged);
  }
}

interface ContainerDocument {
  readonly State: string;
}

const VERSION_HEADERS = { "Api-Version": "1.50", Ostype: "linux", "Builder-Version": "2" };

function json(value: unknown, status = 200): Response {
  return Response.json(value, { status, headers: VERSION_HEADERS });
}

/** `Created: -30` becomes half a minute ago. */
function withMoments(document: unknown): unknown {
  const now = Math.floor(Date.now() / 1000);
  return JSON.parse(JSON.stringify(document), (key, value: unknown) =>
    key === "Created" && typeof value === "number" && value <= 0 ? now + value : value,
  );
}

function selected(containers: ContainerDocument[], query: URLSearchParams): unknown[] {
  const limit = Number(query.get("limit") ?? 0);
  const shown = query.has("all") || limit > 0 ? containers : containers.filter(({ State }) => State === "running");
  const sized = query.has("size") ? shown.map((one, at) => ({ ...one, SizeRw: 12345 * at, SizeRootFs: 1e6 })) : shown;
  return limit > 0 ? sized.slice(0, limit) : sized;
}

function change(method: string, path: string, body: string): Response {
  const key = `${method} ${path}`;
  if (/^POST \/containers\/(web|db)\/(stop|kill|pause|unpause|restart|start|rename)$/.test(key)) return empty(204);
  if (/^DELETE \/(containers\/(web|db)|volumes\/aa)$/.test(key)) return empty(204);
  if (/^POST \/images\/nginx\/tag$/.test(key)) return empty(201);
  const answer = ANSWERS[key];
  if (answer !== undefined) return json(answer, key.endsWith("/create") ? 201 : 200);
  if (key === "POST /volumes/create")
    return json({ Name: (JSON.parse(body) as { Name?: string }).Name || "made-up" }, 201);
  const name = path.split("/")[2] ?? "";
  const missing: Readonly<Record<string, string>> = {
    containers: `No such container: ${name}`,
    images: `No such image: ${name}:latest`,
    volumes: `get ${name}: no such volume`,
    networks: `network ${name} not found`,
  };
  return json({ message: missing[path.split("/")[1] ?? ""] ?? "page not found" }, 404);
}

function empty(status: number): Response {
  return new Response(null, { status });
}

const ANSWERS: Readonly<Record<string, unknown>> = {
  "POST /containers/create": { Id: "c".repeat(64), Warnings: ["be careful"] },
  "POST /containers/web/wait": { StatusCode: 3 },
  "DELETE /images/nginx": [{ Untagged: "nginx:latest" }, { Deleted: "sha256:aaa" }],
  "GET /containers/web/top": {
    Titles: ["UID", "PID", "CMD"],
    Processes: [
      ["root", "1", "nginx: master process with a long name"],
      ["101", "22", "x"],
    ],
  },
  "POST /containers/prune": { ContainersDeleted: ["1".repeat(64)], SpaceReclaimed: 123456 },
  "POST /images/prune": { ImagesDeleted: [{ Untagged: "a:b" }, { Deleted: "sha256:x" }], SpaceReclaimed: 999 },
  "POST /networks/prune": { NetworksDeleted: null },
  "POST /volumes/prune": { VolumesDeleted: ["v"], SpaceReclaimed: 12 },
  "POST /build/prune": { CachesDeleted: ["c1", "c2"], SpaceReclaimed: 5000 },
};
