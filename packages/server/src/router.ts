import { SlipwayError } from "@slipway/base";
import type { Call } from "./call.ts";
import type { Reply } from "./http/reply.ts";

export type Handler = (call: Call) => Promise<Reply> | Reply;

/** `GET /containers/{id}/json`: a parameter is one segment, `{name*}` may hold slashes, as names of images do. */
export type RouteTable = Readonly<Record<`${string} /${string}`, Handler>>;

export interface Match {
  readonly handler: Handler;
  readonly parameters: Readonly<Record<string, string>>;
}

interface Route {
  readonly pattern: RegExp;
  readonly names: readonly string[];
  readonly handler: Handler;
}

/** Finds the handler of a path without its version. */
export class Router {
  readonly #exact = new Map<string, Handler>();
  /** By method and first segment, so that a request is tried against few patterns. */
  readonly #patterns = new Map<string, Route[]>();

  constructor(tables: readonly RouteTable[]) {
    for (const table of tables) {
      for (const [key, handler] of Object.entries(table)) this.#add(key, handler);
    }
  }

  /** Throws `not-found` for a path that is no route, `invalid` for one that is badly encoded. */
  find(method: string, path: string): Match {
    const exact = this.#exact.get(`${method} ${path}`);
    if (exact !== undefined) return { handler: exact, parameters: {} };
    for (const route of this.#patterns.get(`${method} ${firstSegment(path)}`) ?? []) {
      const match = route.pattern.exec(path);
      if (match !== null) return { handler: route.handler, parameters: readParameters(route, match) };
    }
    throw new SlipwayError("not-found", "page not found");
  }

  #add(key: string, handler: Handler): void {
    const [method = "", path = ""] = key.split(" ");
    if (!path.includes("{")) {
      this.#exact.set(key, handler);
      return;
    }
    const names: string[] = [];
    const source = path.replace(/\{(\w+)(\*?)\}/g, (_, name: string, rest: string) => {
      names.push(name);
      return rest === "" ? "([^/]+)" : "(.+)";
    });
    const bucket = `${method} ${firstSegment(path)}`;
    const routes = this.#patterns.get(bucket) ?? [];
    routes.push({ pattern: new RegExp(`^${source}$`), names, handler });
    this.#patterns.set(bucket, routes);
  }
}

function firstSegment(path: string): string {
  const slash = path.indexOf("/", 1);
  return slash < 0 ? path : path.slice(0, slash);
}

function readParameters(route: Route, match: RegExpExecArray): Record<string, string> {
  return Object.fromEntries(route.names.map((name, index) => [name, decode(match[index + 1] ?? "")]));
}

function decode(text: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    throw new SlipwayError("invalid", `bad request: the path has a wrong percent escape`);
  }
  if (/[\0-\x1f\x7f]/.test(decoded)) throw new SlipwayError("invalid", "bad request: the path has a control character");
  return decoded;
}
