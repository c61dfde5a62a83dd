import { posix } from "node:path";
import { SlipwayError } from "@slipway/base";
import {
  type CommandLine,
  checkExpose,
  checkUndefinedVar,
  expand,
  expandWords,
  parsePortSpecs,
  type SourceRange,
  type StageInstruction,
} from "@slipway/dockerfile";
import { signalNumber } from "@slipway/sys";
import { type VertexAbout, vertex } from "../graph.ts";
import { planCopy } from "./copy.ts";
import { healthcheckHistory, quotedList } from "./history.ts";
import type { Planner } from "./plan.ts";
import { planRun } from "./run.ts";
import { type StageState, shellOf, workdirOf } from "./stage-state.ts";
import { stepName } from "./step-name.ts";
import { writeEnv } from "./variables.ts";

type Kind = StageInstruction["kind"];
type Of<K extends Kind> = Extract<StageInstruction, { readonly kind: K }>;
type Handler<K extends Kind> = (planner: Planner, state: StageState, instruction: Of<K>) => void;

const HANDLERS: { readonly [K in Kind]: Handler<K> } = {
  arg: planArg,
  env: planEnv,
  label: planLabel,
  run: planRun,
  copy: planCopy,
  add: planCopy,
  workdir: planWorkdir,
  user: planUser,
  expose: planExpose,
  volume: planVolume,
  cmd: planCmd,
  entrypoint: planEntrypoint,
  shell: planShell,
  stopsignal: planStopsignal,
  healthcheck: planHealthcheck,
  maintainer: planMaintainer,
  onbuild: planOnbuild,
};

export function applyInstruction(planner: Planner, state: StageState, instruction: StageInstruction): void {
  (HANDLERS[instruction.kind] as Handler<Kind>)(planner, state, instruction);
}

/** A word's value in this place of the stage, with the check for variables that nobody set. */
export function expandIn(planner: Planner, state: StageState, word: string, range: SourceRange): string {
  const result = expand(word, state.variables, planner.dockerfile.directives.escape);
  planner.warn(checkUndefinedVar(result, state.variables.names(), range));
  return result.value;
}

export function aboutStep(
  planner: Planner,
  state: StageState,
  instruction: { readonly original: string; readonly range: SourceRange },
): VertexAbout {
  return {
    name: `${stepName(state.label, state.step, state.steps)} ${instruction.original}`,
    stage: state.label === "" ? "stage-0" : state.label,
    source: instruction.range,
    text: instruction.original,
    position: state.position,
    ...(planner.request.noCache && { noCache: true }),
  };
}

export function commandArgs(state: StageState, command: CommandLine): string[] {
  return command.form === "exec" ? [...command.args] : [...shellOf(state), command.line];
}

function note(state: StageState, createdBy: string): void {
  state.history.push({ createdBy });
}

function planArg(planner: Planner, state: StageState, { args, range }: Of<"arg">): void {
  const shown: string[] = [];
  // All words of one instruction see the environment before it.
  const before = { ...state, variables: state.variables.clone() };
  for (const arg of args) {
    const name = expandIn(planner, before, arg.name, range);
    const { buildArgs } = planner.request;
    const given = Object.hasOwn(buildArgs, name) ? buildArgs[name] : undefined;
    const own = arg.value === undefined ? undefined : expandIn(planner, before, arg.value, range);
    const value = given ?? own ?? planner.globals.args.get(name);
    // A second ARG without a value does not take away what the first gave.
    if (value !== undefined || !state.variables.args.has(name)) state.variables.args.set(name, value);
    shown.push(value === undefined ? name : `${name}=${value}`);
  }
  note(state, `ARG ${shown.join(" ")}`);
}

function planEnv(planner: Planner, state: StageState, { pairs, range }: Of<"env">): void {
  const expanded = pairs.map(({ key, value }) => [
    expandIn(planner, state, key, range),
    expandIn(planner, state, value, range),
  ]);
  for (const [name = "", value = ""] of expanded) {
    if (name === "") throw new SlipwayError("invalid", "ENV names can not be blank");
    state.variables.env.set(name, value);
  }
  state.config.Env = writeEnv(state.variables.env);
  note(state, `ENV ${expanded.map(([name, value]) => `${name}=${value}`).join(" ")}`);
}

function planLabel(planner: Planner, state: StageState, { pairs, range }: Of<"label">): void {
  const labels: Record<string, string> = { ...state.config.Labels };
  const shown: string[] = [];
  for (const { key, value } of pairs) {
    const [name, text] = [expandIn(planner, state, key, range), expandIn(planner, state, value, range)];
    if (name === "") throw new SlipwayError("invalid", "LABEL names can not be blank");
    labels[name] = text;
    shown.push(`${name}=${text}`);
  }
  state.config.Labels = labels;
  note(state, `LABEL ${shown.join(" ")}`);
}

function planWorkdir(planner: Planner, state: StageState, instruction: Of<"workdir">): void {
  const written = expandIn(planner, state, instruction.path, instruction.range);
  if (written === "") throw new SlipwayError("invalid", "WORKDIR needs a path; its variables are all empty");
  const path = trimSlash(written.startsWith("/") ? posix.normalize(written) : posix.join(workdirOf(state), written));
  state.config.WorkingDir = path;
  const createdBy = `WORKDIR ${path}`;
  if (path === "/") {
    note(state, createdBy);
    return;
  }
  const action = { kind: "mkdir" as const, path, mode: 0o755, ...userOf(state), ...epochOf(planner) };
  state.root = vertex({ type: "file", action }, [state.root], aboutStep(planner, state, instruction));
  state.history.push({ createdBy, vertex: state.root });
}

function userOf(state: StageState): { readonly user?: string } {
  return state.config.User ? { user: state.config.User } : {};
}

export function epochOf(planner: Planner): { readonly epoch?: number } {
  return planner.epoch === undefined ? {} : { epoch: planner.epoch };
}

function trimSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

function planUser(planner: Planner, state: StageState, { user, range }: Of<"user">): void {
  state.config.User = expandIn(planner, state, user, range);
  note(state, `USER ${state.config.User}`);
}

function planExpose(planner: Planner, state: StageState, { ports, range }: Of<"expose">): void {
  const words = ports.flatMap((word) => {
    const result = expandWords(word, state.variables, planner.dockerfile.directives.escape);
    planner.warn(checkUndefinedVar(result, state.variables.names(), range));
    return result.words;
  });
  planner.warn(checkExpose(words, range));
  const specs = parsePortSpecs(words);
  state.config.ExposedPorts = { ...state.config.ExposedPorts, ...Object.fromEntries(specs.map((port) => [port, {}])) };
  note(state, `EXPOSE [${specs.join(" ")}]`);
}

function planVolume(planner: Planner, state: StageState, { paths, range }: Of<"volume">): void {
  const volumes = paths.map((path) => expandIn(planner, state, path, range));
  if (volumes.some((path) => path === ""))
    throw new SlipwayError("invalid", "VOLUME specified can not be an empty string");
  state.config.Volumes = { ...state.config.Volumes, ...Object.fromEntries(volumes.map((path) => [path, {}])) };
  note(state, `VOLUME [${volumes.join(" ")}]`);
}

function planCmd(_planner: Planner, state: StageState, { command }: Of<"cmd">): void {
  state.config.Cmd = commandArgs(state, command);
  // As Docker has it: for Windows' sake, and for equal documents.
  state.config.ArgsEscaped = true;
  state.commandSet = true;
  note(state, `CMD ${quotedList(state.config.Cmd)}`);
}

function planEntrypoint(_planner: Planner, state: StageState, { command }: Of<"entrypoint">): void {
  state.config.Entrypoint = commandArgs(state, command);
  // The inherited command was meant for another entry point.
  if (!state.commandSet) delete state.config.Cmd;
  note(state, `ENTRYPOINT ${quotedList(state.config.Entrypoint)}`);
}

function planShell(_planner: Planner, state: StageState, { shell }: Of<"shell">): void {
  state.config.Shell = shell;
  note(state, `SHELL [${shell.join(" ")}]`);
}

function planStopsignal(planner: Planner, state: StageState, { signal, range }: Of<"stopsignal">): void {
  const written = expandIn(planner, state, signal, range);
  signalNumber(written);
  state.config.StopSignal = written;
  note(state, `STOPSIGNAL ${state.config.StopSignal}`);
}

function planHealthcheck(_planner: Planner, state: StageState, { check }: Of<"healthcheck">): void {
  state.config.Healthcheck = check;
  note(state, healthcheckHistory(check));
}

function planMaintainer(_planner: Planner, state: StageState, { maintainer }: Of<"maintainer">): void {
  state.author = maintainer;
  note(state, `MAINTAINER ${maintainer}`);
}

function planOnbuild(_planner: Planner, state: StageState, { trigger }: Of<"onbuild">): void {
  state.config.OnBuild = [...(state.config.OnBuild ?? []), trigger];
}
