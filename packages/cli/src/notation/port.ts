/** `80/tcp` and the bindings of it. */
export interface PublishedPorts {
  readonly exposed: Record<string, Record<string, never>>;
  readonly bindings: Record<string, { HostIp: string; HostPort: string }[]>;
}

interface Range {
  readonly first: number;
  readonly last: number;
}

/**
 * Reads the values of `--publish`: `[[IP:][HOST]:]CONTAINER[/PROTOCOL]`, each port also as a range, or the long form
 * `target=80,published=8080,protocol=udp`. Throws an `Error` worded as Docker does.
 */
export function parsePublished(specs: readonly string[]): PublishedPorts {
  const exposed: PublishedPorts["exposed"] = {};
  const bindings: PublishedPorts["bindings"] = {};
  for (const spec of specs) {
    for (const { port, binding } of parseSpec(spec.includes("=") ? shortForm(spec) : spec)) {
      exposed[port] = {};
      bindings[port] = [...(bindings[port] ?? []), binding];
    }
  }
  return { exposed, bindings };
}

/** Reads the values of `--expose`: a port or a range, with or without a protocol. */
export function parseExposed(specs: readonly string[]): string[] {
  return specs.flatMap((spec) => {
    if (spec.includes(":")) throw new Error(`invalid port format for --expose: ${spec}`);
    const { protocol, rest } = splitProtocol(spec, spec);
    const range = parseRange(rest);
    if (range === undefined) throw new Error(`invalid range format for --expose: ${spec}`);
    return ports(range).map((port) => `${port}/${protocol}`);
  });
}

function parseSpec(spec: string): { port: string; binding: { HostIp: string; HostPort: string } }[] {
  const { ip, host, container: rawContainer } = splitSpec(spec);
  const { protocol, rest: containerText } = splitProtocol(rawContainer, spec);
  if (ip !== "" && !isAddress(ip)) throw new Error(`invalid IP address: ${ip}`);
  if (containerText === "") throw new Error(`no port specified: ${spec}<empty>`);
  const container = parseRange(containerText);
  if (container === undefined) throw new Error(`invalid containerPort: ${containerText}`);
  const hostRange = host === "" ? undefined : parseRange(host);
  if (host !== "" && hostRange === undefined) throw new Error(`invalid hostPort: ${host}`);
  const sameSize = hostRange === undefined || hostRange.last - hostRange.first === container.last - container.first;
  if (!sameSize && container.first !== container.last) {
    throw new Error(`invalid ranges specified for container and host Ports: ${containerText} and ${host}`);
  }
  return ports(container).map((port, index) => {
    const HostPort = hostRange === undefined ? "" : sameSize ? String(hostRange.first + index) : host;
    return { port: `${port}/${protocol}`, binding: { HostIp: ip, HostPort } };
  });
}

/** `IP:HOST:CONTAINER`; an IPv6 address may stand in brackets. */
function splitSpec(spec: string): { ip: string; host: string; container: string } {
  const parts = spec.split(":");
  const container = parts.pop() ?? "";
  const host = parts.pop() ?? "";
  const ip = parts.join(":").replace(/^\[(.*)\]$/, "$1");
  return { ip, host, container };
}

function splitProtocol(text: string, spec: string): { protocol: string; rest: string } {
  const [rest = "", protocol = "tcp", extra] = text.split("/");
  const lower = protocol.toLowerCase();
  if (extra !== undefined || !["tcp", "udp", "sctp"].includes(lower))
    throw new Error(`invalid proto: ${protocol || spec}`);
  return { protocol: lower, rest };
}

function parseRange(text: string): Range | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return last < first || last > 65535 ? undefined : { first, last };
}

function ports({ first, last }: Range): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function shortForm(spec: string): string {
  const fields: Record<string, string> = {};
  for (const pair of spec.split(",")) {
    const at = pair.indexOf("=");
    if (at < 0) throw new Error(`invalid publish opts format (should be name=value but got '${pair}')`);
    fields[pair.slice(0, at)] = pair.slice(at + 1);
  }
  const { published, target, protocol = "tcp", mode, ...unknown } = fields;
  const [other] = Object.keys(unknown);
  if (other !== undefined) throw new Error(`invalid field key ${other}`);
  if (target === undefined) throw new Error(`invalid publish opts format: target is missing in '${spec}'`);
  if (mode !== undefined && mode !== "ingress" && mode !== "host")
    throw new Error(`invalid publish mode value (${mode})`);
  return `${published === undefined ? "" : `${published}:`}${target}/${protocol}`;
}

function isAddress(text: string): boolean {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return text.split(".").every((part) => Number(part) < 256);
  return /:.*:/.test(text) && /^[0-9a-fA-F:.]+$/.test(text);
}
