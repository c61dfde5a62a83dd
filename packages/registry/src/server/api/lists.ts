import { CATALOG, layout, nameIn, partAfter } from "../repository/layout.ts";
import { LIST_LIMIT, type RecordStore } from "../storage/records.ts";
import { fault } from "./fault.ts";
import type { Call, RegistryParts } from "./parts.ts";

/** Names in one answer unless the client asks for fewer: lists of millions are walked by their `Link`. */
const PAGE = 1000;
const MAX_PAGE = 10_000;

/** GET of the tags of a repository, in the order of their bytes (distribution specification 1.1, end-8). */
export async function listTags(parts: RegistryParts, call: Call, name: string): Promise<Response> {
  const prefix = layout.tags(name);
  const page = pageOf(call.query);
  const { keys, more } = await listPage(parts.storage.records, prefix, {
    ...page,
    ...(page.last !== undefined && { last: prefix + page.last }),
  });
  const tags = keys.map((key) => key.slice(prefix.length));
  if (tags.length === 0 && !(await isKnown(parts, name))) {
    throw fault("NAME_UNKNOWN", "repository name not known to registry", { detail: { name } });
  }
  const headers = linkTo(`/v2/${name}/tags/list`, page.n, more ? tags.at(-1) : undefined);
  return Response.json({ name, tags }, { headers });
}

async function isKnown(parts: RegistryParts, name: string): Promise<boolean> {
  return (await parts.storage.records.get(layout.known(name))) !== undefined;
}

/** GET of the repositories that have manifests and that the client may read. Not in the specification, but in wide use. */
export async function listRepositories(parts: RegistryParts, call: Call): Promise<Response> {
  const { last, n } = pageOf(call.query);
  const names: string[] = [];
  let after = last === undefined ? undefined : CATALOG + last.replaceAll("/", "!");
  let more = true;
  while (more && names.length < n) {
    // Not by the few that a client wants: it may not read the first thousands, and each page is a request to a bucket.
    const size = Math.max(n, PAGE);
    const page = await listPage(parts.storage.records, CATALOG, {
      n: size,
      ...(after !== undefined && { last: after }),
    });
    for (const key of page.keys) {
      const name = nameIn(partAfter(key, CATALOG));
      if (names.length < n && call.access.allows(name, "pull")) names.push(name);
      if (names.length === n && key !== page.keys.at(-1)) page.more = true;
      if (names.length === n) break;
    }
    after = page.keys.at(-1);
    more = page.more && after !== undefined;
  }
  return Response.json(
    { repositories: names },
    { headers: linkTo("/v2/_catalog", n, more ? names.at(-1) : undefined) },
  );
}

interface Page {
  readonly n: number;
  readonly last?: string;
}

export function pageOf(query: URLSearchParams): Page {
  const text = query.get("n");
  const last = query.get("last");
  const n = text === null ? PAGE : Number(text);
  if (!Number.isSafeInteger(n) || n < 0 || text === "") {
    throw fault("PAGINATION_NUMBER_INVALID", "n must be a natural number", { detail: text?.slice(0, 50) });
  }
  return { n: Math.min(n, MAX_PAGE), ...(last !== null && last !== "" && { last }) };
}

/** The next `n` keys after `last`, and whether more follow. */
export async function listPage(records: RecordStore, prefix: string, { n, last }: Page) {
  const keys: string[] = [];
  let after = last;
  while (keys.length <= n) {
    const limit = Math.min(LIST_LIMIT, n + 1 - keys.length);
    const found = await records.list(prefix, { limit, ...(after !== undefined && { after }) });
    keys.push(...found);
    after = found.at(-1);
    if (found.length < limit) break;
  }
  const more = keys.length > n;
  return { keys: keys.slice(0, n), more };
}

export function linkTo(path: string, n: number, last: string | undefined, more = ""): Record<string, string> {
  return last === undefined ? {} : { Link: `<${path}?n=${n}&last=${encodeURIComponent(last)}${more}>; rel="next"` };
}
