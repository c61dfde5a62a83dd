import { Database } from "bun:sqlite";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Engine, mountsBelow } from "../../e2e/harness.ts";
import type { Api } from "../api.ts";

/** A container as `inspect` shows it. */
export interface Inspected {
  readonly Id: string;
  readonly Name: string;
  readonly State: { readonly Status: string; readonly Pid: number };
  readonly Config: { readonly Labels: Readonly<Record<string, string>> | null };
  readonly HostConfig: { readonly NetworkMode: string };
  readonly GraphDriver: { readonly Data: { readonly UpperDir: string; readonly MergedDir: string } };
  readonly Mounts: readonly { readonly Type: string; readonly Name?: string; readonly Destination: string }[];
  readonly NetworkSettings: {
    readonly Ports: Readonly<
      Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[] | null>
    > | null;
    readonly Networks: Readonly<
      Record<string, { readonly NetworkID: string; readonly IPAddress: string; readonly MacAddress: string }>
    >;
  };
}

export interface NetworkListed {
  readonly Id: string;
  readonly Name: string;
  readonly Driver: string;
}

interface EndpointRow {
  readonly container_id: string;
  readonly network_id: string;
  readonly link: string;
  readonly ready: number;
}

interface Link {
  readonly ifname: string;
  readonly master?: string;
  readonly ifalias?: string;
}

/** What the engine says, what its database says and what the kernel says, all read within some milliseconds. */
export interface Facts {
  readonly containers: readonly Inspected[];
  readonly networks: readonly NetworkListed[];
  readonly volumes: readonly { readonly Name: string; readonly Options: Readonly<Record<string, string>> | null }[];
  readonly rows: {
    readonly sandboxes: readonly string[];
    readonly endpoints: readonly EndpointRow[];
    readonly bridges: Readonly<Record<string, string>>;
    readonly ports: readonly string[];
    readonly owner: string;
  };
  readonly kernel: {
    readonly mounts: readonly string[];
    readonly links: readonly Link[];
    /** `protocol:port` that our table forwards. */
    readonly forwarded: readonly string[];
    /** Directories of ours in any controller. */
    readonly cgroups: ReadonlySet<string>;
    readonly listening: ReadonlySet<number>;
  };
  readonly files: Readonly<
    Record<"bundles" | "supervised" | "runtime" | "netns" | "homes" | "volumes", readonly string[]>
  >;
}

export function isAlive(container: Inspected): boolean {
  return container.State.Status === "running" || container.State.Status === "paused";
}

export async function readFacts(engine: Engine, api: Api): Promise<Facts> {
  const listed = await api.json<{ Id: string }[]>("GET", "/containers/json?all=1");
  const containers: Inspected[] = [];
  for (const { Id } of listed) containers.push(await api.json<Inspected>("GET", `/containers/${Id}/json`));
  const { Volumes } = await api.json<{ Volumes: Facts["volumes"] | null }>("GET", "/volumes");
  const networks = await api.json<NetworkListed[]>("GET", "/networks");
  const rows = readRows(engine);
  const supervisor = join(engine.execRoot, "supervisor");
  return {
    containers,
    networks,
    volumes: Volumes ?? [],
    rows,
    kernel: {
      mounts: mountsBelow(engine.root),
      links: readLinks(),
      forwarded: readForwarded(rows.bridges),
      cgroups: readCgroups(),
      listening: readListening(),
    },
    files: {
      bundles: names(join(engine.execRoot, "containers")),
      supervised: names(join(supervisor, "containers")),
      runtime: names(join(supervisor, "runtime")),
      netns: names(join(engine.execRoot, "netns")),
      homes: names(join(engine.dataRoot, "containers")),
      volumes: names(join(engine.dataRoot, "volumes")),
    },
  };
}

function names(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

function readRows(engine: Engine): Facts["rows"] {
  using database = new Database(join(engine.dataRoot, "slipway.db"), { readonly: true });
  const all = <T>(sql: string): T[] => database.query<T, []>(sql).all();
  const ports = all<{ protocol: string; host_port: number }>("SELECT protocol, host_port FROM network_ports");
  const bridges = all<{ id: string; bridge: string }>(
    "SELECT id, bridge FROM network_networks WHERE bridge IS NOT NULL",
  );
  return {
    sandboxes: all<{ id: string }>("SELECT container_id AS id FROM network_sandboxes").map(({ id }) => id),
    endpoints: all<EndpointRow>("SELECT * FROM network_endpoints"),
    bridges: Object.fromEntries(bridges.map(({ id, bridge }) => [id, bridge])),
    ports: ports.map(({ protocol, host_port }) => `${protocol}:${host_port}`),
    owner: all<{ id: string }>("SELECT id FROM network_owner")[0]?.id ?? "",
  };
}

function readLinks(): Link[] {
  return JSON.parse(output("ip", "-j", "link")) as Link[];
}

/** The elements of the maps of published ports in the table of this engine. */
function readForwarded(bridges: Readonly<Record<string, string>>): string[] {
  const tables = JSON.parse(output("nft", "-j", "list", "tables")) as { nftables: { table?: { name: string } }[] };
  const ours = tables.nftables.flatMap(({ table }) => table?.name ?? []);
  const table = ours.find((name) => Object.values(bridges).some((bridge) => name === `slipway_${bridge}`));
  if (table === undefined) return [];
  return ["ports", "ports6", "bound_ports", "bound_ports6"].flatMap((map) => {
    const text = output("nft", "list", "map", "inet", table, map);
    return [...text.matchAll(/(tcp|udp|sctp) \. (\d+) :/g)].map(([, protocol, port]) => `${protocol}:${port}`);
  });
}

function readCgroups(): Set<string> {
  const found = new Set<string>();
  for (const controller of names("/sys/fs/cgroup")) {
    for (const id of names(`/sys/fs/cgroup/${controller}/slipway`)) found.add(id);
  }
  for (const id of names("/sys/fs/cgroup/slipway")) found.add(id);
  return found;
}

function readListening(): Set<number> {
  const ports = new Set<number>();
  for (const file of ["tcp", "tcp6"]) {
    for (const line of readFileSync(`/proc/net/${file}`, "latin1").split("\n").slice(1)) {
      const [, local, , state] = line.trim().split(/\s+/);
      if (state === "0A") ports.add(Number.parseInt(local?.split(":").at(-1) ?? "", 16));
    }
  }
  return ports;
}

function output(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}`);
  return stdout;
}
