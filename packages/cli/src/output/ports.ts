import type { PortSummary } from "../client/documents.ts";

interface Run {
  readonly key: string;
  readonly first: number;
  last: number;
}

/** The ports of a container as `ps` shows them: `0.0.0.0:80->80/tcp, 9000-9002/tcp`; neighbouring ports are joined. */
export function portsText(ports: readonly PortSummary[]): string {
  if (ports.length === 0) return "";
  const open = new Map<string, Run>();
  const finished: Run[] = [];
  const moved: string[] = [];
  for (const port of ports.toSorted(comparePorts)) {
    const ip = port.IP ?? "";
    if (ip !== "" && port.PublicPort !== port.PrivatePort) {
      moved.push(`${joinHostPort(ip, String(port.PublicPort ?? 0))}->${port.PrivatePort}/${port.Type}`);
      continue;
    }
    const key = ip === "" ? port.Type : `${ip}/${port.Type}`;
    const run = open.get(key);
    if (run !== undefined && port.PrivatePort === run.last + 1) {
      run.last = port.PrivatePort;
      continue;
    }
    if (run !== undefined) finished.push(run);
    open.set(key, { key, first: port.PrivatePort, last: port.PrivatePort });
  }
  return [...[...finished, ...open.values()].map(runText), ...moved].join(", ");
}

function runText({ key, first, last }: Run): string {
  const slash = key.indexOf("/");
  const type = key.slice(slash + 1);
  const range = first === last ? String(first) : `${first}-${last}`;
  return slash < 0 ? `${range}/${type}` : `${joinHostPort(key.slice(0, slash), range)}->${range}/${type}`;
}

export function joinHostPort(ip: string, port: string): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

function comparePorts(a: PortSummary, b: PortSummary): number {
  return (
    a.PrivatePort - b.PrivatePort ||
    compareText(a.IP ?? "", b.IP ?? "") ||
    (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
    compareText(a.Type, b.Type)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
