import { SlipwayError } from "@slipway/base";

/** A run of ports longer than all ports there are is a mistake; it also bounds the work. */
const MAX_PORT = 65_535;

const PROTOCOLS = new Set(["tcp", "udp", "sctp"]);

/**
 * `80/tcp` of expanded EXPOSE words: `80`, `53/udp`, `8000-8010`. Of `ip:host:container` only the container's port
 * counts. Sorted, each once. Throws `invalid`.
 */
export function parsePortSpecs(words: readonly string[]): string[] {
  const ports = new Map<string, number>();
  for (const word of words) {
    const { first, last, protocol } = parsePortSpec(word);
    for (let port = first; port <= last; port++) ports.set(`${port}/${protocol}`, port);
  }
  return [...ports].sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1)).map(([port]) => port);
}

export function parsePortSpec(word: string): { first: number; last: number; protocol: string } {
  const [address = "", written = "tcp", ...more] = word.split("/");
  const protocol = (written || "tcp").toLowerCase();
  if (more.length > 0 || !PROTOCOLS.has(protocol)) {
    throw invalid(word, `'${written}' is no protocol`, "Protocols are tcp, udp and sctp.");
  }
  const container = address.slice(address.lastIndexOf(":") + 1);
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(container);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? first);
  if (match === null || first < 1 || last > MAX_PORT || last < first) {
    throw invalid(word, `'${container}' is no port`, "Write a port from 1 to 65535, like 80, 53/udp or 8000-8010.");
  }
  return { first, last, protocol };
}

function invalid(word: string, problem: string, hint: string): SlipwayError {
  return new SlipwayError("invalid", `invalid containerPort: ${word}: ${problem}`, { hint });
}
