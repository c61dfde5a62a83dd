/**
 * What holds of an engine that nobody asks anything at the moment, whatever happened before: the API, the database, the
 * kernel and the files say the same. Each check returns what does not hold, in words.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../../e2e/harness.ts";
import type { Api } from "../api.ts";
import { type Facts, type Inspected, isAlive, readFacts } from "./facts.ts";

/** What whoever moved the engine knows of it. */
export interface Expected {
  /** Containers whose creation was answered and whose removal nobody has asked for. */
  readonly kept: ReadonlySet<string>;
  /** Every container ever seen: a cgroup of theirs without a container is a leftover. */
  readonly seen: ReadonlySet<string>;
}

export async function engineProblems(engine: Engine, api: Api, expected: Expected): Promise<string[]> {
  const facts = await readFacts(engine, api);
  return [
    ...checkStates(facts, expected),
    ...checkProcesses(facts),
    ...checkMounts(facts, engine),
    ...checkCgroups(facts, expected),
    ...checkFiles(facts, engine),
    ...checkSandboxes(facts),
    ...checkLinks(facts),
    ...checkAddresses(facts),
    ...checkPorts(facts),
    ...checkNames(facts),
    ...checkVolumes(facts),
  ];
}

function checkStates({ containers }: Facts, { kept }: Expected): string[] {
  const settled = ["created", "running", "paused", "exited"];
  const there = new Set(containers.map(({ Id }) => Id));
  return [
    ...containers
      .filter(({ State }) => !settled.includes(State.Status))
      .map((container) => `${title(container)} is ${container.State.Status}`),
    ...[...kept].filter((id) => !there.has(id)).map((id) => `container ${id} was made and is not there`),
  ];
}

function checkProcesses({ containers }: Facts): string[] {
  return containers.flatMap((container) => {
    const { Pid } = container.State;
    if (!isAlive(container)) return Pid === 0 ? [] : [`${title(container)} has process ${Pid}`];
    const cgroups = readQuietly(`/proc/${Pid}/cgroup`);
    if (cgroups === undefined) return [`process ${Pid} of ${title(container)} does not exist`];
    return cgroups.includes(container.Id) ? [] : [`process ${Pid} of ${title(container)} is in another cgroup`];
  });
}

function checkMounts({ containers, files, kernel, volumes }: Facts, engine: Engine): string[] {
  const alive = containers.filter(isAlive);
  const used = new Set(alive.flatMap(({ Mounts }) => Mounts.flatMap(({ Name }) => Name ?? [])));
  const mountedVolumes = volumes.filter(({ Name, Options }) => Options?.type !== undefined && used.has(Name));
  const wanted = [
    ...alive.map(({ GraphDriver }) => GraphDriver.Data.MergedDir),
    ...files.netns.map((name) => join(engine.execRoot, "netns", name)),
    ...mountedVolumes.map(({ Name }) => join(engine.dataRoot, "volumes", Name, "_data")),
  ];
  return differences("mount", kernel.mounts, wanted);
}

function checkCgroups({ containers, kernel }: Facts, { seen }: Expected): string[] {
  const alive = containers.filter(isAlive).map(({ Id }) => Id);
  return differences(
    "cgroup",
    [...kernel.cgroups].filter((id) => seen.has(id) || alive.includes(id)),
    alive,
  );
}

/** Bundles, FIFOs, and what the supervisor and the runtime keep belong to what runs; logs to what exists. */
function checkFiles({ containers, files }: Facts, engine: Engine): string[] {
  const alive = containers.filter(isAlive).map(({ Id }) => Id);
  const fifos = alive.flatMap((id) =>
    ["stdout", "stderr"]
      .map((name) => join(engine.execRoot, "containers", id, "io", name))
      .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFIFO() !== true)
      .map((path) => `${path} is no FIFO`),
  );
  const uppers = containers
    .filter(({ GraphDriver }) => statSync(GraphDriver.Data.UpperDir, { throwIfNoEntry: false }) === undefined)
    .map((container) => `the files of ${title(container)} are gone`);
  return [
    ...differences("bundle", files.bundles, alive),
    ...differences("link of the supervisor", files.supervised, alive),
    ...differences("state of the runtime", files.runtime, alive),
    // One that was never started has written nothing.
    ...differences(
      "directory of logs",
      files.homes,
      containers.filter((each) => each.State.Status !== "created" || files.homes.includes(each.Id)).map(({ Id }) => Id),
    ),
    ...fifos,
    ...uppers,
  ];
}

/** A namespace for each that runs and has one of its own, as a file and as a row. */
function checkSandboxes({ containers, files, rows }: Facts): string[] {
  const own = ({ HostConfig }: Inspected): boolean => !/^(host|container:.*)$/.test(HostConfig.NetworkMode);
  const wanted = containers.filter((container) => isAlive(container) && own(container)).map(({ Id }) => Id);
  return [
    ...differences("network namespace", files.netns, wanted),
    ...differences("row of a network namespace", rows.sandboxes, wanted),
    ...rows.endpoints.filter(({ ready }) => ready === 0).map(({ link }) => `the endpoint of ${link} is half made`),
  ];
}

/** A bridge for each network (of the default one only while it is used), an interface on it for each endpoint. */
function checkLinks({ kernel, networks, rows }: Facts): string[] {
  const ours = kernel.links.filter(({ ifalias }) => ifalias?.includes(rows.owner) === true).map(({ ifname }) => ifname);
  const custom = networks.filter(({ Driver, Name }) => Driver === "bridge" && Name !== "bridge");
  const needed = custom.flatMap(({ Id }) => rows.bridges[Id] ?? [`(none for ${Id})`]);
  const used = rows.endpoints.map(({ network_id }) => rows.bridges[network_id] ?? "?");
  // The default network's bridge may stay for a while when the last container has left it.
  const optional = ours.filter((name) =>
    networks.some(({ Id, Name }) => Name === "bridge" && rows.bridges[Id] === name),
  );
  const slaves = kernel.links.filter(({ master }) => master !== undefined && ours.includes(master));
  return [
    ...differences("bridge", ours, [...new Set([...needed, ...used, ...optional])]),
    ...differences(
      "interface",
      slaves.map(({ ifname }) => ifname),
      rows.endpoints.map(({ link }) => link),
    ),
  ];
}

/** The addresses that the API tells are leased once, and are those that the container has. */
function checkAddresses({ containers, rows }: Facts): string[] {
  const problems: string[] = [];
  const leased = new Set<string>();
  let shown = 0;
  for (const container of containers.filter(isAlive)) {
    const inside = addressesInside(container.State.Pid);
    for (const [name, { NetworkID, IPAddress }] of Object.entries(container.NetworkSettings.Networks)) {
      if (IPAddress === "") continue;
      shown++;
      const key = `${IPAddress} of ${NetworkID}`;
      if (leased.has(key)) problems.push(`${key} is leased twice`);
      leased.add(key);
      if (!inside.includes(IPAddress)) problems.push(`${title(container)} lacks ${IPAddress} of network ${name}`);
    }
  }
  if (shown !== rows.endpoints.length) problems.push(`${rows.endpoints.length} endpoints, ${shown} of them are shown`);
  return problems;
}

function addressesInside(pid: number): string[] {
  const { stdout } = spawnSync("nsenter", ["-t", String(pid), "-n", "ip", "-4", "-o", "addr"], { encoding: "utf8" });
  return [...stdout.matchAll(/inet ([0-9.]+)\//g)].map(([, address = ""]) => address);
}

/** Published ports are the same in the API, in the database and in the kernel's maps, and held by a listener. */
function checkPorts({ containers, kernel, rows }: Facts): string[] {
  const shown = containers
    .filter(isAlive)
    .flatMap(({ NetworkSettings }) =>
      Object.entries(NetworkSettings.Ports ?? {}).flatMap(([key, bindings]) =>
        (bindings ?? []).map(({ HostPort }) => `${key.split("/")[1]}:${HostPort}`),
      ),
    );
  const unheld = shown.filter((port) => port.startsWith("tcp:") && !kernel.listening.has(Number(port.slice(4))));
  return [
    ...differences("row of a published port", rows.ports, shown),
    ...differences("rule of a published port", kernel.forwarded, shown),
    ...unheld.map((port) => `nobody holds ${port}`),
  ];
}

/** On networks of the user's own, all find each other by name, asked from inside. */
function checkNames({ containers }: Facts): string[] {
  const problems: string[] = [];
  for (const container of containers.filter(({ State }) => State.Status === "running")) {
    for (const [network, { IPAddress }] of Object.entries(container.NetworkSettings.Networks)) {
      if (IPAddress === "" || network === "bridge") continue;
      const peer = containers.find((other) => isAlive(other) && other.NetworkSettings.Networks[network] !== undefined);
      const address = peer?.NetworkSettings.Networks[network]?.IPAddress;
      if (peer === undefined || address === undefined) continue;
      const name = `${peer.Name.slice(1)}.${network}`;
      const question = ["-t", String(container.State.Pid), "-n", "busybox", "nslookup", name, "127.0.0.11"];
      const { stdout } = spawnSync("nsenter", question, { encoding: "utf8", timeout: 5000 });
      if (!stdout.includes(address)) problems.push(`${title(container)} does not find ${name} at ${address}`);
    }
  }
  return problems;
}

function checkVolumes({ containers, files, volumes }: Facts): string[] {
  const known = volumes.map(({ Name }) => Name);
  const used = containers.flatMap(({ Mounts }) => Mounts.flatMap(({ Name }) => Name ?? []));
  return [
    ...differences("directory of a volume", files.volumes, known),
    ...used.filter((name) => !known.includes(name)).map((name) => `volume ${name} is used and is not there`),
  ];
}

function differences(what: string, actual: readonly string[], wanted: readonly string[]): string[] {
  return [
    ...actual.filter((each) => !wanted.includes(each)).map((each) => `left over: ${what} ${each}`),
    ...wanted.filter((each) => !actual.includes(each)).map((each) => `missing: ${what} ${each}`),
  ];
}

function title({ Id, Name }: Inspected): string {
  return `${Name.slice(1)} (${Id.slice(0, 12)})`;
}

function readQuietly(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}
