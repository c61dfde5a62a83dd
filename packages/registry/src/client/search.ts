import { isError, JsonReader, SlipwayError } from "@slipway/base";
import { readDocument } from "./body.ts";
import type { Credentials } from "./credentials.ts";
import type { RegistryHosts } from "./host.ts";

export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly stars: number;
  readonly official: boolean;
  readonly automated: boolean;
}

const MOST_BYTES = 4 * 1024 * 1024;
const INDEX = "index.docker.io";

/**
 * Asks an index for repositories: Docker Hub's, or that of the registry whose host begins the term. Most registries have
 * none. Throws `not-found` then.
 */
export async function searchImages(
  hosts: RegistryHosts,
  term: string,
  options: { readonly limit: number; readonly credentials?: Credentials | undefined; readonly signal: AbortSignal },
): Promise<SearchResult[]> {
  const { credentials, signal, limit } = options;
  const slash = term.indexOf("/");
  const first = slash < 0 ? "" : term.slice(0, slash);
  const isHost = /[.:]/.test(first) || first === "localhost";
  const domain = isHost ? first : INDEX;
  const words = isHost ? term.slice(slash + 1) : term;
  const host = await hosts.open(domain, credentials, signal);
  const query = new URLSearchParams({ q: words, n: String(limit) });
  try {
    const incoming = await host.persistently({ method: "GET", path: `/v1/search?${query}`, scopes: [], signal });
    return readResults(await readDocument(incoming, MOST_BYTES, host.limits(signal)), domain);
  } catch (error) {
    if (!isError(error, "not-found")) throw error;
    throw new SlipwayError("not-found", `${domain} has no index to search`, {
      hint: isHost
        ? `List the tags of a repository you know: slipway pull -a ${domain}/NAME, or ask its operator.`
        : "Docker Hub's index did not answer as it should.",
      cause: error,
    });
  }
}

function readResults(bytes: Uint8Array, domain: string): SearchResult[] {
  return JsonReader.parse(bytes, `the index of ${domain}`)
    .field("results")
    .array()
    .map((entry) => ({
      name: entry.field("name").string(),
      description: entry.field("description").optionalString() ?? "",
      stars: entry.field("star_count").optionalNumber() ?? 0,
      official: entry.field("is_official").optionalBoolean() ?? false,
      automated: entry.field("is_automated").optionalBoolean() ?? false,
    }));
}
