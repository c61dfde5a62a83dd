import { JsonReader, SlipwayError } from "@slipway/base";
import { readDocument } from "./body.ts";
import type { Repository } from "./repository.ts";

const MOST_BYTES = 8 * 1024 * 1024;
const MOST_PAGES = 10_000;
const TAG = /^[\w][\w.-]{0,127}$/;

/** All tags of a repository, page by page (distribution specification, "Listing Tags"). What is no tag is left out. */
export async function listTags(repository: Repository, signal: AbortSignal): Promise<string[]> {
  const { host, path, pullScopes: scopes } = repository;
  const tags = new Set<string>();
  let next: string | URL | undefined = `/v2/${path}/tags/list`;
  for (let page = 0; next !== undefined; page++) {
    if (page === MOST_PAGES) throw new SlipwayError("exhausted", `${path} has more than ${MOST_PAGES} pages of tags`);
    const incoming = await host.persistently({ method: "GET", path: next, scopes, signal });
    const link: string | null = incoming.response.headers.get("link");
    const bytes = await readDocument(incoming, MOST_BYTES, host.limits(signal));
    const before = tags.size;
    for (const tag of JsonReader.parse(bytes, "the list of tags").field("tags").strings())
      if (TAG.test(tag)) tags.add(tag);
    // A page that brings nothing new would come again and again.
    next = tags.size > before ? nextPage(link, incoming.url) : undefined;
  }
  return [...tags];
}

/** Where a `Link` header with `rel="next"` leads, on the same registry. */
function nextPage(link: string | null, base: URL): URL | undefined {
  const target = /<([^>]*)>\s*;[^,]*rel="?next"?/.exec(link ?? "")?.[1];
  if (target === undefined || !URL.canParse(target, base.href)) return undefined;
  const url = new URL(target, base);
  return url.origin === base.origin ? url : undefined;
}
