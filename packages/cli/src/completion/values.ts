import type { Session } from "../session.ts";
import { type Candidate, containerNames, imageNames, networkNames, trashIds, volumeNames } from "./engine-names.ts";
import type { Place } from "./place.ts";

/** Words that may stand somewhere, or: names of files, which the shell knows best. */
export type Answer = readonly Candidate[] | "files";

type Source = (session: Session) => Promise<Answer> | Answer;

const words =
  (...list: readonly string[]): Source =>
  () =>
    list.map((word) => ({ word }));
const files: Source = () => "files";
const containers =
  (...states: readonly string[]): Source =>
  async (session) =>
    await containerNames(await session.client(), states.length === 0 ? undefined : states);
const images: Source = async (session) => await imageNames(await session.client());
const networks: Source = async (session) => await networkNames(await session.client());
const volumes: Source = async (session) => await volumeNames(await session.client());
const trash: Source = async (session) => await trashIds(await session.client());
const contexts: Source = async (session) => {
  const { ContextStore } = await import("../client/context-store.ts");
  const named = new ContextStore(session.configDirectory).all();
  return [{ word: "default" }, ...named.map(({ Name }) => ({ word: Name }))];
};
const environment: Source = ({ io }) => Object.keys(io.env).map((word) => ({ word }));

/** By the flag's name, wherever it stands. */
const FLAG_VALUES: Readonly<Record<string, Source>> = {
  attach: words("stdin", "stdout", "stderr"),
  "cap-add": async () => await capabilities(),
  "cap-drop": async () => await capabilities(),
  cgroupns: words("host", "private"),
  config: files,
  "config-file": files,
  context: contexts,
  cidfile: files,
  "data-root": files,
  device: files,
  driver: words("bridge", "local"),
  env: environment,
  "env-file": files,
  "exec-root": files,
  file: files,
  format: words("json", "table"),
  iidfile: files,
  input: files,
  ipc: words("none", "host", "private", "shareable", "container:"),
  "label-file": files,
  link: containers("running"),
  "log-driver": words("json-file", "local", "none"),
  "log-level": words("debug", "info", "warn", "error", "fatal"),
  mount: words("type=bind,", "type=volume,", "type=tmpfs,", "type=image,"),
  network: async (session) => [...((await networks(session)) as Candidate[]), { word: "container:" }],
  output: files,
  pid: words("host", "container:"),
  pidfile: files,
  platform: words("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/386", "linux/ppc64le", "linux/s390x"),
  progress: words("auto", "plain", "tty", "rawjson", "quiet"),
  restart: words("no", "always", "unless-stopped", "on-failure", "on-unhealthy"),
  "security-opt": words("no-new-privileges", "seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"),
  signal: async () => await signals(),
  "stop-signal": async () => await signals(),
  tlscacert: files,
  tlscert: files,
  tlskey: files,
  type: words("container", "image", "network", "volume"),
  userns: words("host"),
  uts: words("host"),
  volume: files,
  "volumes-from": containers(),
};

async function signals(): Promise<Candidate[]> {
  const { constants } = await import("node:os");
  return Object.keys(constants.signals).map((word) => ({ word }));
}

async function capabilities(): Promise<Candidate[]> {
  const { ALL_CAPABILITIES } = await import("@slipway/runtime");
  return ["ALL", ...ALL_CAPABILITIES.map((name) => name.replace(/^CAP_/, ""))].map((word) => ({ word }));
}

/** Commands for which only containers in some state make sense. */
const STATES: Readonly<Record<string, readonly string[]>> = {
  attach: ["running"],
  exec: ["running"],
  kill: ["running", "paused"],
  pause: ["running"],
  stats: ["running", "paused"],
  stop: ["running", "paused", "restarting"],
  top: ["running", "paused"],
  unpause: ["paused"],
  start: ["created", "exited"],
};

/** What the words of a usage line stand for. */
const ARGUMENTS: readonly (readonly [word: RegExp, source: (command: string) => Source])[] = [
  [/^CONTAINER:SRC_PATH$/, () => containerPaths],
  [/^(DEST_PATH|PATH|FILE|file)/, () => files],
  [/^CONTAINER$/, (command) => containers(...(STATES[command] ?? []))],
  [/^(SOURCE_)?IMAGE/, () => images],
  [/^REPOSITORY/, () => images],
  [/^NETWORK$/, () => networks],
  [/^VOLUME$/, () => volumes],
  [/^CONTEXT$/, () => contexts],
  [/^PRUNE\|ITEM$/, () => trash],
  [/^NAME\|ID$/, () => anything],
];

/** For `cp`: a container, to be followed by a path, or a file of this machine. */
const containerPaths: Source = async (session) => {
  const named = (await containerNames(await session.client())).map(({ word }) => ({ word: `${word}:` }));
  return named.length === 0 ? "files" : named;
};

const anything: Source = async (session) => {
  const lists = await Promise.all([containers(), images, volumes, networks].map((source) => source(session)));
  return lists.flatMap((list) => (list === "files" ? [] : list));
};

export async function valuesOf(place: Extract<Place, { kind: "value" }>, session: Session): Promise<Answer> {
  if (place.flag.choices !== undefined) return place.flag.choices.map((word) => ({ word }));
  const source = FLAG_VALUES[place.name];
  return source === undefined ? [] : await source(session);
}

export async function argumentsOf(place: Extract<Place, { kind: "argument" }>, session: Session): Promise<Answer> {
  const { command, path, before, partial } = place;
  const word = usageWordAt(command.usage, before.length);
  if (word === undefined) return [];
  const source = ARGUMENTS.find(([pattern]) => pattern.test(word))?.[1](path.at(-1) ?? "");
  if (source === undefined) return "files";
  const answer = await source(session);
  // Once a path is begun it is one.
  if (source === containerPaths && partial.startsWith("/")) return "files";
  // What is named already is not offered again.
  return answer === "files" ? answer : answer.filter((candidate) => !before.includes(candidate.word));
}

/** The word of `[OPTIONS] CONTAINER [CONTAINER...]` that stands for the argument at `index`. */
function usageWordAt(usage: string, index: number): string | undefined {
  const words = (usage.split("\n")[0] ?? "").split(" ").filter((word) => word !== "[OPTIONS]" && word !== "");
  const plain = words.map((word) => word.replace(/^\[|\]$/g, ""));
  const last = plain.at(-1);
  const word = plain[index] ?? (last?.endsWith("...") ? last : undefined);
  return word?.replace(/\.\.\.$/, "");
}
