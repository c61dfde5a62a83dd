import type { ConfigFile } from "./config-file.ts";

const VARIABLES: Readonly<Record<string, string>> = {
  httpProxy: "HTTP_PROXY",
  httpsProxy: "HTTPS_PROXY",
  noProxy: "NO_PROXY",
  ftpProxy: "FTP_PROXY",
  allProxy: "ALL_PROXY",
};

/**
 * Variables that containers and builds get beside those that were asked for: the proxies of `config.json` for this engine,
 * else its `default`, in capitals and not, as programs disagree about it.
 */
export function proxyVariables(
  config: ConfigFile,
  host: string,
  given: Iterable<string>,
): [name: string, value: string][] {
  const proxies = config.proxies ?? {};
  const own = Object.hasOwn(proxies, host) ? proxies[host] : proxies.default;
  const known = new Set(given);
  return Object.entries(VARIABLES).flatMap(([key, name]): [string, string][] => {
    const value = own?.[key];
    if (!value) return [];
    return [name, name.toLowerCase()].filter((variable) => !known.has(variable)).map((variable) => [variable, value]);
  });
}
