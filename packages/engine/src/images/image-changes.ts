import { posix } from "node:path";
import { SlipwayError } from "@slipway/base";
import {
  type CommandLine,
  expand,
  expandWords,
  parseDockerfile,
  parsePortSpecs,
  type StageInstruction,
} from "@slipway/dockerfile";
import type { RunConfig } from "@slipway/oci";

type Changed = { -readonly [K in keyof RunConfig]: RunConfig[K] };
type Variables = ReadonlyMap<string, string>;

const DEFAULT_SHELL = ["/bin/sh", "-c"];

/**
 * A configuration after the changes of `import` and `commit`, each a line of a Dockerfile. Throws `invalid` for lines that
 * cannot be parsed and for instructions that need a build.
 */
export function applyChanges(config: RunConfig, changes: readonly string[]): RunConfig {
  let result = config;
  for (const change of changes) {
    if (change.trim() === "") continue;
    // It would begin a stage of its own.
    if (/^\s*FROM\b/i.test(change)) throw new SlipwayError("invalid", "FROM is not a valid change command");
    const { stages } = parseDockerfile(`FROM scratch\n${change}`, { file: "change" });
    for (const instruction of stages.flatMap((stage) => stage.instructions)) {
      result = applyChange({ ...result }, instruction);
    }
  }
  return result;
}

function applyChange(config: Changed, instruction: StageInstruction): RunConfig {
  const variables: Variables = new Map((config.Env ?? []).map(splitPair));
  const value = (word: string): string => expand(word, variables).value;
  switch (instruction.kind) {
    case "cmd":
      return { ...config, Cmd: argsOf(instruction.command, config) };
    case "entrypoint": {
      const { Cmd: _, ...rest } = config;
      // As in a build: a new entry point makes the command that went with the old one meaningless.
      return { ...rest, Entrypoint: argsOf(instruction.command, config) };
    }
    case "env":
      for (const pair of instruction.pairs)
        config.Env = withVariable(config.Env ?? [], value(pair.key), value(pair.value));
      return config;
    case "label":
      for (const pair of instruction.pairs) config.Labels = { ...config.Labels, [value(pair.key)]: value(pair.value) };
      return config;
    case "expose": {
      const words = instruction.ports.flatMap((port) => expandWords(port, variables).words);
      return { ...config, ExposedPorts: { ...config.ExposedPorts, ...emptyObjects(parsePortSpecs(words)) } };
    }
    case "volume":
      return { ...config, Volumes: { ...config.Volumes, ...emptyObjects(instruction.paths.map(value)) } };
    case "user":
      return { ...config, User: value(instruction.user) };
    case "workdir":
      return { ...config, WorkingDir: posix.resolve(config.WorkingDir || "/", value(instruction.path)) };
    case "stopsignal":
      return { ...config, StopSignal: value(instruction.signal) };
    case "healthcheck":
      return { ...config, Healthcheck: instruction.check };
    case "onbuild":
      return { ...config, OnBuild: [...(config.OnBuild ?? []), instruction.trigger] };
    case "shell":
      return { ...config, Shell: instruction.shell };
    default:
      throw new SlipwayError("invalid", `${instruction.kind.toUpperCase()} is not a valid change command`, {
        hint: "Only CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, SHELL, STOPSIGNAL, USER, VOLUME and WORKDIR change a configuration.",
      });
  }
}

function argsOf(command: CommandLine, config: RunConfig): readonly string[] {
  return command.form === "exec" ? command.args : [...(config.Shell ?? DEFAULT_SHELL), command.line];
}

function splitPair(entry: string): [name: string, value: string] {
  const cut = entry.indexOf("=");
  return cut < 0 ? [entry, ""] : [entry.slice(0, cut), entry.slice(cut + 1)];
}

function withVariable(env: readonly string[], name: string, value: string): string[] {
  const entry = `${name}=${value}`;
  const index = env.findIndex((each) => splitPair(each)[0] === name);
  return index < 0 ? [...env, entry] : env.with(index, entry);
}

function emptyObjects(keys: readonly string[]): Record<string, object> {
  return Object.fromEntries(keys.map((key) => [key, {}]));
}
