import { gzipSync } from "node:zlib";
import { HOSTILE_ARCHIVES, type Random, type TarMember, tarOf } from "@slipway/testkit";
import { BASE } from "../../e2e/harness.ts";
import type { Api } from "../api.ts";
import type { HostileWords } from "./hostile-words.ts";
import { sendRaw } from "./raw-requests.ts";

export interface Ground {
  readonly api: Api;
  readonly socket: string;
  readonly random: Random;
  readonly words: HostileWords;
  readonly canary: string;
  /** What was answered, by status. */
  readonly note: (what: string, answer: Answer) => void;
}

export type Attack = (ground: Ground) => Promise<void>;

const CONTAINERS = ["target", "target", "stopped", "swapping", "swapping"];
/** Milliseconds: what is asked to wait for something waits for ever. */
const PATIENCE = 3000;
const MAX_BOMB = 32 * 1024 * 1024;

export interface Answer {
  readonly status: number;
  readonly text: string;
}

async function send(ground: Ground, method: string, path: string, body?: string | Uint8Array): Promise<Answer> {
  const init = body === undefined ? {} : { body, headers: { "Content-Type": "application/json" } };
  const response = await ground.api.fetch(method, path, { ...init, signal: AbortSignal.timeout(PATIENCE) });
  const answer = { status: response.status, text: await response.text() };
  ground.note(`${method} ${path.slice(0, 120)}`, answer);
  return answer;
}

const segment = (text: string): string => encodeURIComponent(text.toWellFormed());

/** Members that try to leave: by name, by a link made before, by a hard link, by a device. */
function hostileMembers({ random, words, canary }: Ground): TarMember[] {
  const types = ["file", "file", "dir", "symlink", "link", "char", "block", "fifo"] as const;
  const links: TarMember[] = [0, 1, 2, 3].map((n) => {
    const linkname = random.pick([
      canary,
      `${"../".repeat(n * 4)}${canary.slice(1)}`,
      "..",
      "/",
      "/proc/self/root",
      "link0",
    ]);
    return { name: `link${n}`, type: "symlink", linkname };
  });
  const others = Array.from({ length: 1 + random.below(8) }, (): TarMember => {
    const type = random.pick(types);
    return {
      name: words.path(),
      type,
      linkname: type === "link" || type === "symlink" ? words.path() : "",
      mode: random.pick([0o644, 0o4755, 0o777, 0, 0o7777]),
      uid: random.pick([0, 1000, 2 ** 31 - 1, 4294967295]),
      ...(type === "file" ? { content: random.bytes(random.below(2000)) } : {}),
      ...(type === "file" && random.chance(0.1) ? { size: random.pick([0, 10 ** 12, 2 ** 40, 511]) } : {}),
      ...(type === "char" || type === "block" ? { devmajor: random.pick([1, 8, 259]), devminor: random.below(8) } : {}),
      ...(random.chance(0.1) ? { xattrs: new Map([["trusted.overlay.opaque", Buffer.from("y")]]) } : {}),
      ...(random.chance(0.1) ? { xattrs: new Map([["security.capability", random.bytes(20)]]) } : {}),
    };
  });
  return random.chance(0.7) ? [...links, ...others] : others;
}

function hostileTar(ground: Ground): Uint8Array {
  const { random } = ground;
  let tar: Uint8Array;
  try {
    tar = tarOf(hostileMembers(ground));
  } catch {
    // Not even a tar can hold it.
    tar = random.bytes(1024);
  }
  const bytes = Buffer.from(tar);
  if (random.chance(0.25)) for (let n = 0; n < 8; n++) bytes[random.below(bytes.length)] = random.below(256);
  if (random.chance(0.15)) return bytes.subarray(0, random.below(bytes.length));
  if (random.chance(0.1)) return gzipSync(bytes);
  if (random.chance(0.02)) return gzipSync(tarOf([{ name: "bomb", type: "file", content: Buffer.alloc(MAX_BOMB) }]));
  if (random.chance(0.05)) return random.bytes(3000);
  return bytes;
}

const putArchive: Attack = async (ground) => {
  const { random, words } = ground;
  const place = random.pick(["/", "/tmp", "/data", "/etc", words.path(), words.path()]);
  const flags = random.pick(["", "&noOverwriteDirNonDir=1", "&copyUIDGID=1", "&noOverwriteDirNonDir=maybe"]);
  const path = `/containers/${random.pick(CONTAINERS)}/archive?path=${segment(place)}${flags}`;
  await send(ground, "PUT", path, hostileTar(ground));
};

const getArchive: Attack = async (ground) => {
  const { random, words } = ground;
  const path = `/containers/${random.pick(CONTAINERS)}/archive?path=${segment(words.path())}`;
  await send(ground, random.pick(["GET", "HEAD"]), path);
};

const runInside: Attack = async (ground) => {
  const { random, words } = ground;
  const config = {
    Cmd: random.pick<unknown>([["true"], [words.path()], [words.name(), words.name()], words.value()]),
    WorkingDir: random.pick(["", words.path(), "/proc/self/cwd", "/tmp/swap"]),
    User: random.pick(["", "0:0", words.name(), words.path(), "99999999999", "root:root:root", "-1"]),
    Env: random.pick<unknown>([[], [words.name()], ["=", "A=B=C"], words.value()]),
    DetachKeys: random.pick(["", "ctrl-p", words.name()]),
    AttachStdout: true,
  };
  const made = await send(ground, "POST", "/containers/target/exec", JSON.stringify(words.twist(config)));
  if (made.status !== 201) return;
  const { Id } = JSON.parse(made.text) as { Id: string };
  await send(ground, "POST", `/exec/${Id}/start`, JSON.stringify(words.twist({ Detach: true, Tty: false })));
  const size = `h=${random.pick(["1", "-1", "x", "99999999999"])}&w=${segment(words.name())}`;
  await send(ground, "POST", `/exec/${Id}/resize?${size}`);
  await send(ground, "GET", `/exec/${Id}/json`);
};

const CREATE = {
  ...{ Image: BASE, Cmd: ["true"], Env: ["A=B"], Labels: { a: "b" }, ExposedPorts: { "80/tcp": {} }, User: "0" },
  ...{ WorkingDir: "/w", Entrypoint: ["/bin/sh"], Volumes: { "/anonymous": {} }, StopTimeout: 1, Tty: false },
  Healthcheck: { Test: ["CMD", "true"], Interval: 1_000_000_000, Retries: 3 },
  HostConfig: {
    ...{ Memory: 64_000_000, NanoCpus: 1, PidsLimit: 10, ShmSize: 1000, OomScoreAdj: 1, ReadonlyRootfs: false },
    ...{
      Binds: ["volume:/data"],
      Mounts: [{ Type: "volume", Source: "volume", Target: "/m" }],
      Tmpfs: { "/t": "size=1m" },
    },
    ...{ PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "0" }] }, CapAdd: ["CHOWN"], Dns: ["127.0.0.1"] },
    ...{
      RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
      LogConfig: { Type: "json-file", Config: { "max-size": "1m" } },
    },
    ...{ Ulimits: [{ Name: "nofile", Soft: 10, Hard: 10 }], Devices: [], ExtraHosts: ["a:127.0.0.1"], Sysctls: {} },
  },
  NetworkingConfig: { EndpointsConfig: { bridge: { Aliases: ["a"], IPAMConfig: { IPv4Address: "" } } } },
};

/** Created, looked at, removed, never started: the API's users may start what they like, also what harms the host. */
const createContainer: Attack = async (ground) => {
  const { random, words } = ground;
  const name = random.chance(0.5) ? `fuzz-${random.below(1000)}` : words.name();
  const body = random.chance(0.15) ? words.brokenJson() : JSON.stringify(words.twist(CREATE));
  const made = await send(ground, "POST", `/containers/create?name=${segment(name)}`, body);
  if (made.status !== 201) return;
  const { Id } = JSON.parse(made.text) as { Id: string };
  await send(ground, "GET", `/containers/${Id}/json`);
  await send(ground, "POST", `/containers/${Id}/rename?name=${segment(words.name())}`);
  await send(ground, "POST", `/containers/${Id}/update`, JSON.stringify(words.twist(CREATE.HostConfig)));
  await send(ground, "PUT", `/containers/${Id}/archive?path=${segment(words.path())}`, hostileTar(ground));
  await send(ground, "DELETE", `/containers/${Id}?force=1&v=1`);
};

const LISTS = ["/containers/json", "/images/json", "/volumes", "/networks", "/events?until=1", "/system/df"];
const KEYS = [
  "name",
  "id",
  "label",
  "status",
  "ancestor",
  "before",
  "since",
  "until",
  "dangling",
  "network",
  "exited",
  "x",
];

const filters: Attack = async (ground) => {
  const { random, words } = ground;
  const value = random.pick<() => unknown>([
    () => ({ [random.pick(KEYS)]: [words.name()] }),
    () => ({ [random.pick(KEYS)]: { [words.name()]: true } }),
    () => ({ name: ["^(a+)+$", "(a|a)*b", `${"(a?)".repeat(40)}${"a".repeat(40)}`, "[", "a{99999}"] }),
    () => words.value(),
  ])();
  const text = random.chance(0.2) ? words.brokenJson().slice(0, 20_000) : JSON.stringify(value);
  const path = random.pick(LISTS);
  const joint = path.includes("?") ? "&" : "?";
  await send(ground, "GET", `${path}${joint}all=1&filters=${segment(text.slice(0, 30_000))}`);
};

const PLACES: readonly (readonly [string, (name: string) => string])[] = [
  ["GET", (name) => `/containers/${name}/json`],
  ["GET", (name) => `/containers/${name}/logs?stdout=1&tail=${name}&since=${name}`],
  ["GET", (name) => `/containers/${name}/top?ps_args=${name}`],
  ["GET", (name) => `/containers/target/top?ps_args=${name}`],
  ["GET", (name) => `/containers/target/logs?stdout=1&since=${name}&until=${name}`],
  ["POST", (name) => `/containers/target/kill?signal=${name}`.replace(/(kill|term|int|quit|9|15)/i, "0")],
  ["POST", (name) => `/containers/target/resize?h=${name}&w=${name}`],
  ["POST", (name) => `/containers/${name}/start?detachKeys=${name}`],
  ["POST", (name) => `/containers/${name}/wait?condition=${name}`],
  ["DELETE", (name) => `/containers/fuzz-${name}?force=${name}`],
  ["GET", (name) => `/images/${name}/json`],
  ["GET", (name) => `/images/${name}/history`],
  ["DELETE", (name) => `/images/fuzz-${name}`],
  ["POST", (name) => `/images/slipway%2Fbase/tag?repo=${name}&tag=${name}`],
  ["GET", (name) => `/volumes/${name}`],
  ["DELETE", (name) => `/volumes/fuzz-${name}`],
  ["GET", (name) => `/networks/${name}`],
  ["DELETE", (name) => `/networks/fuzz-${name}`],
  ["POST", (name) => `/commit?container=stopped&repo=${name}&tag=${name}&changes=${name}`],
  ["GET", (name) => `/events?until=${name}&since=${name}`],
  ["GET", (name) => `/${name}`],
  ["GET", (name) => `/v${name}/info`],
];

const names: Attack = async (ground) => {
  const { random, words } = ground;
  const [method, path] = random.pick(PLACES);
  await send(ground, method, path(segment(words.name()).slice(0, 60_000)));
};

const documents: Attack = async (ground) => {
  const { random, words } = ground;
  const [path, document] = random.pick<readonly [string, unknown]>([
    ["/volumes/create", { Name: words.name(), Driver: "local", Labels: { a: "b" } }],
    ["/networks/create", { Name: words.name(), Internal: true, Options: { a: "b" }, Labels: {} }],
    ["/networks/bridge/connect", { Container: words.name(), EndpointConfig: { Aliases: ["x"] } }],
    ["/networks/bridge/disconnect", { Container: words.name(), Force: true }],
    ["/containers/target/update", CREATE.HostConfig],
    ["/commit?container=stopped&repo=fuzz-commit", CREATE],
    ["/auth", { username: words.name(), password: "x", serveraddress: "127.0.0.1:1" }],
  ]);
  const body = random.chance(0.2) ? words.brokenJson() : JSON.stringify(words.twist(document));
  await send(ground, "POST", path, body);
};

const images: Attack = async (ground) => {
  const { random } = ground;
  const archive = Buffer.from(random.pick(HOSTILE_ARCHIVES).tar());
  if (random.chance(0.5)) for (let n = 0; n < 6; n++) archive[random.below(archive.length)] = random.below(256);
  await send(ground, "POST", "/images/load", archive);
};

const builds: Attack = async (ground) => {
  const { random, words } = ground;
  const dockerfile = `FROM ${BASE}\nCOPY ${words.path()} ${words.path()}\nADD . ${words.path()}\n`;
  const members = [{ name: "Dockerfile", type: "file", content: dockerfile } as TarMember, ...hostileMembers(ground)];
  try {
    const query = `dockerfile=${segment(random.pick(["Dockerfile", words.path()]))}&t=fuzz-built&q=1`;
    await send(ground, "POST", `/build?${query}`, tarOf(members));
  } catch {
    // Such a tar cannot be made.
  }
};

const raw: Attack = ({ socket, random }) => sendRaw(socket, random);

/** Often what concerns files, sometimes what is expensive. */
export const ATTACKS: readonly Attack[] = [
  ...Array.from({ length: 10 }, () => putArchive),
  ...[getArchive, getArchive, getArchive, runInside, runInside, runInside],
  ...[createContainer, createContainer, createContainer, filters, filters, names, names, names, names],
  ...[documents, documents, documents, images, builds, raw, raw, raw],
];
