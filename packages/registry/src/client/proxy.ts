import { bare, inNetwork, isLoopback } from "./networks.ts";
import type { ProxySettings } from "./settings.ts";

/** The proxy for an address, or undefined: by the scheme, unless NO_PROXY names the host. Loopback is never proxied. */
export function proxyFor(url: URL, settings: ProxySettings): string | undefined {
  const proxy = url.protocol === "https:" ? settings.https : settings.http;
  if (proxy === undefined || isLoopback(url.hostname) || isExcluded(url, settings.none ?? "")) return undefined;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

function isExcluded(url: URL, none: string): boolean {
  const host = bare(url.hostname);
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return none.split(",").some((word) => {
    const entry = word.trim().toLowerCase();
    if (entry === "") return false;
    if (entry === "*") return true;
    if (entry.includes("/")) return inNetwork(host, entry);
    const [, name = "", ofPort] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
    if (ofPort !== undefined && ofPort !== port) return false;
    const domain = bare(name.replace(/^\*/, ""));
    return domain.startsWith(".") ? host.endsWith(domain) : host === domain || host.endsWith(`.${domain}`);
  });
}
