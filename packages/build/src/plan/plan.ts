import { nearest, SlipwayError } from "@slipway/base";
import {
  baseStage,
  checkBaseImagePlatform,
  type Dockerfile,
  expand,
  findStage,
  parseTrigger,
  type SourceRange,
  type Stage,
  type StageInstruction,
  sourceError,
  type Warning,
  warningApplies,
} from "@slipway/dockerfile";
import { formatPlatform, hostPlatform, type Platform, parsePlatform, platformMatches } from "@slipway/oci";
import { type Vertex, vertex } from "../graph.ts";
import type { BaseImage } from "../sources/base-images.ts";
import { literalPrefix } from "./copy-words.ts";
import { atPlace, placed } from "./errors.ts";
import { readEpoch, readGlobalArgs } from "./global-args.ts";
import { MAIN_CONTEXT, type Plan, type PlanRequest } from "./plan-request.ts";
import { applyInstruction } from "./stage-instructions.ts";
import { type HistoryDraft, type StageState, startConfig, startVariables } from "./stage-state.ts";
import { STEPS, stepName, triggerKind } from "./step-name.ts";
import { DEFAULT_PATH, type StageVariables } from "./variables.ts";

export function plan(request: PlanRequest): Plan {
  return new Planner(request).plan();
}

export class Planner {
  readonly request: PlanRequest;
  readonly epoch: number | undefined;
  readonly contextPaths = new Map<string, Set<string>>();
  readonly secretIds = new Set<string>();
  readonly #globals: StageVariables;
  readonly #states = new Map<number, StageState>();
  /** Stages being planned, outermost first: meeting one again is a cycle. */
  readonly #underway: Stage[] = [];

  constructor(request: PlanRequest) {
    this.request = request;
    const word = (text: string, variables: StageVariables) => this.#expandWord(text, variables);
    this.#globals = readGlobalArgs(request, word);
    this.epoch = readEpoch(request, this.#globals);
  }

  plan(): Plan {
    const state = this.stage(this.#targetStage());
    const labels = { ...state.config.Labels, ...this.request.labels };
    if (Object.keys(labels).length > 0) state.config.Labels = labels;
    return {
      root: state.root,
      platform: state.platform,
      config: state.config,
      author: state.author,
      baseCreated: state.baseCreated,
      history: state.history,
      epoch: this.epoch,
      contextPaths: this.contextPaths,
      secretIds: this.secretIds,
    };
  }

  get dockerfile(): Dockerfile {
    return this.request.dockerfile;
  }

  get globals(): StageVariables {
    return this.#globals;
  }

  warn(warnings: readonly (Warning | undefined)[]): void {
    for (const warning of warnings) {
      if (warning !== undefined && warningApplies(this.dockerfile, warning)) this.request.onWarning(warning);
    }
  }

  /** Everything up to the end of a stage, planned once. */
  stage(stage: Stage): StageState {
    const known = this.#states.get(stage.index);
    if (known !== undefined) return known;
    if (this.#underway.includes(stage)) throw this.#cycle(stage);
    this.#underway.push(stage);
    try {
      const state = this.#planStage(stage);
      this.#states.set(stage.index, state);
      return state;
    } finally {
      this.#underway.pop();
    }
  }

  /** What `--from`, or a mount's `from`, means: a named context, a stage, or an image. */
  reference(name: string, range: SourceRange): { readonly vertex: Vertex; readonly isContext: boolean } {
    const named = this.#namedContext(name);
    if (named !== undefined) return named;
    const stage = findStage(this.dockerfile.stages, name);
    if (stage !== undefined) return { vertex: this.stage(stage).root, isContext: false };
    if (name === MAIN_CONTEXT) return { vertex: this.contextVertex(name), isContext: true };
    if (name === "scratch") return { vertex: scratchVertex(), isContext: false };
    if (/^\d+$/.test(name)) {
      throw sourceError(this.dockerfile.source, range, {
        message: `there is no stage number ${name}`,
        hint: `Stages count from 0; this file has ${this.dockerfile.stages.length}.`,
      });
    }
    return { vertex: this.#imageVertex(name, range).vertex, isContext: false };
  }

  /** The files of a context; `pattern` is what will be read of it. */
  context(name: string, pattern: string): Vertex {
    let paths = this.contextPaths.get(name);
    if (paths === undefined) this.contextPaths.set(name, (paths = new Set()));
    paths.add(literalPrefix(pattern));
    return this.contextVertex(name);
  }

  contextVertex(name: string): Vertex {
    const text = name === MAIN_CONTEXT ? "load build context" : `load from context ${name}`;
    return vertex({ type: "source", kind: "local", context: name, paths: [] }, [], {
      name: `[internal] ${text}`,
      text,
      position: 0,
    });
  }

  #namedContext(name: string): { vertex: Vertex; isContext: boolean } | undefined {
    const context = this.request.namedContexts.get(name) ?? this.request.namedContexts.get(name.toLowerCase());
    if (context === undefined) return undefined;
    if (context.kind === "image") return { vertex: this.#imageVertex(context.name).vertex, isContext: false };
    return { vertex: this.contextVertex(name), isContext: true };
  }

  #planStage(stage: Stage): StageState {
    const state = this.#beginStage(stage);
    const triggers = this.#triggers(state);
    const instructions = [...triggers, ...stage.instructions];
    state.steps = 1 + instructions.filter(({ kind }) => STEPS.has(kind)).length;
    for (const instruction of instructions) {
      if (STEPS.has(instruction.kind)) state.step++;
      atPlace(this.dockerfile.source, instruction.range, () => applyInstruction(this, state, instruction));
      state.position++;
    }
    if (state.config.OnBuild?.length === 0) delete state.config.OnBuild;
    return state;
  }

  #beginStage(stage: Stage): StageState {
    const { source } = this.dockerfile;
    const range = stage.from.range;
    const word = atPlace(source, range, () => this.#expandGlobal(stage.from.image));
    if (word === "") {
      throw sourceError(source, range, {
        message: `base name (${stage.from.image}) should not be blank`,
        hint: "Give the ARG in it a default, or a value with --build-arg.",
      });
    }
    const platform = this.#platform(stage);
    const label = this.#label(stage);
    const base = baseStage(this.dockerfile.stages, stage, word);
    if (base !== undefined && this.#namedContext(word) === undefined) return fromStage(stage, label, this.stage(base));
    if (word === "scratch") return this.#fromScratch(stage, label, platform);
    return this.#fromImage(stage, { label, platform, word });
  }

  #fromScratch(stage: Stage, label: string, platform: Platform): StageState {
    const config = { Env: [`PATH=${DEFAULT_PATH}`], WorkingDir: "/" };
    return { ...emptyState(stage, label, platform), root: scratchVertex(), config, variables: startVariables(config) };
  }

  #fromImage(stage: Stage, from: { label: string; platform: Platform; word: string }): StageState {
    const context =
      this.request.namedContexts.get(from.word.toLowerCase()) ?? this.request.namedContexts.get(from.word);
    const name = context?.kind === "image" ? context.name : from.word;
    if (context !== undefined && context.kind !== "image") {
      throw sourceError(this.dockerfile.source, stage.from.range, {
        message: `the named context '${from.word}' holds files and cannot be a base image`,
        hint: "Use it with COPY --from, or give docker-image://NAME.",
      });
    }
    const { platform } = from;
    const image = this.#findImage(name, stage.from.range);
    const own = stage.instructions.filter(({ kind }) => STEPS.has(kind)).length;
    const triggered = (image.config.config.OnBuild ?? []).filter((trigger) => STEPS.has(triggerKind(trigger))).length;
    const prefix = stepName(from.label, 1, 1 + own + triggered);
    const { vertex: root } = this.#imageVertex(name, stage.from.range, prefix);
    this.warn([checkBaseImagePlatform(name, { expected: platform, actual: image.config }, stage.from.range)]);
    const config = startConfig(image.config.config);
    if (!(config.Env ?? []).some((pair) => pair.startsWith("PATH="))) {
      config.Env = [`PATH=${DEFAULT_PATH}`, ...(config.Env ?? [])];
    }
    const history = image.config.history.map(
      ({ created, created_by: createdBy = "", author, comment, empty_layer: empty }): HistoryDraft => ({
        createdBy,
        inherited: {
          ...(created !== undefined && { created }),
          ...(author !== undefined && { author }),
          ...(comment !== undefined && { comment }),
        },
        layer: !empty,
      }),
    );
    return {
      ...emptyState(stage, from.label, platform),
      root,
      config,
      variables: startVariables(config),
      history,
      author: image.config.author,
      baseCreated: image.config.created,
    };
  }

  #imageVertex(name: string, range?: SourceRange, prefix?: string): { vertex: Vertex; image: BaseImage } {
    const image = this.#findImage(name, range);
    const top = image.layers.at(-1);
    const operation = {
      type: "source" as const,
      kind: "image" as const,
      name,
      id: image.id,
      ...(top !== undefined && { chainId: top }),
    };
    const text = `FROM ${name}`;
    const about = {
      name: prefix === undefined ? `${text}` : `${prefix} ${text}`,
      text,
      position: 0,
      ...(range !== undefined && { source: range }),
    };
    return { vertex: vertex(operation, [], about), image };
  }

  #findImage(name: string, range: SourceRange | undefined): BaseImage {
    try {
      return this.request.findImage(name);
    } catch (error) {
      throw range === undefined ? error : placed(this.dockerfile.source, range, error);
    }
  }

  #triggers(state: StageState): StageInstruction[] {
    const triggers = state.config.OnBuild ?? [];
    delete state.config.OnBuild;
    const { escape: escapeCharacter } = this.dockerfile.directives;
    const from = state.stage.from;
    return triggers.map((trigger) => {
      const parsed = parseTrigger(trigger, { file: `ONBUILD of ${from.image}`, escape: escapeCharacter });
      // Its place, for people and for errors, is the FROM that brought it.
      return { ...parsed, range: from.range };
    });
  }

  #targetStage(): Stage {
    const { stages } = this.dockerfile;
    const last = stages.at(-1);
    if (last === undefined) throw new SlipwayError("invalid", "the Dockerfile has no stages");
    const wanted = this.request.target;
    if (wanted === undefined || wanted === "") return last;
    const found = findStage(stages, wanted);
    if (found !== undefined) return found;
    const names = stages.flatMap(({ name }) => name ?? []);
    const near = nearest(wanted, names);
    throw new SlipwayError("invalid", `target stage "${wanted}" could not be found`, {
      hint:
        near === undefined
          ? `Stages of ${this.dockerfile.source.file}: ${names.length === 0 ? "none has a name" : names.join(", ")}.`
          : `Did you mean ${near}?`,
    });
  }

  #platform(stage: Stage): Platform {
    const own = stage.from.platform;
    const fallback = this.request.platform ?? hostPlatform();
    if (own === undefined) return this.#checkPlatform(fallback, stage.from.range);
    const text = atPlace(this.dockerfile.source, stage.from.range, () => this.#expandGlobal(own));
    if (text === "") return this.#checkPlatform(fallback, stage.from.range);
    const parsed = atPlace(this.dockerfile.source, stage.from.range, () => parsePlatform(text));
    return this.#checkPlatform(parsed, stage.from.range);
  }

  #checkPlatform(platform: Platform, range: SourceRange): Platform {
    if (platformMatches(hostPlatform(), platform)) return platform;
    throw placed(
      this.dockerfile.source,
      range,
      new SlipwayError("not-implemented", `cannot build for ${formatPlatform(platform)} on this machine yet`, {
        hint: `Only ${formatPlatform(hostPlatform())} is built here.`,
      }),
    );
  }

  #label(stage: Stage): string {
    if (stage.name !== undefined) return stage.name;
    return this.dockerfile.stages.length === 1 ? "" : `stage-${stage.index}`;
  }

  #expandGlobal(word: string): string {
    return this.#expandWord(word, this.#globals);
  }

  #expandWord(word: string, variables: StageVariables): string {
    return expand(word, variables, this.dockerfile.directives.escape).value;
  }

  #cycle(stage: Stage): SlipwayError {
    const name = (one: Stage) => one.name ?? `stage ${one.index}`;
    const path = [...this.#underway.slice(this.#underway.indexOf(stage)), stage].map(name);
    return sourceError(this.dockerfile.source, stage.from.range, {
      message: `circular dependency between stages: ${path.join(" -> ")}`,
      hint: "A stage can only use the files of stages that do not need it.",
    });
  }
}

export function scratchVertex(): Vertex {
  return vertex({ type: "source", kind: "scratch" }, [], { name: "scratch", text: "FROM scratch", position: 0 });
}

function emptyState(stage: Stage, label: string, platform: Platform) {
  return {
    stage,
    label,
    platform,
    history: [],
    author: undefined,
    baseCreated: undefined,
    commandSet: false,
    step: 1,
    steps: 1,
    position: 1,
    sshMounts: 0,
  };
}

function fromStage(stage: Stage, label: string, base: StageState): StageState {
  const config = startConfig(base.config);
  return {
    ...emptyState(stage, label, base.platform),
    root: base.root,
    config,
    variables: startVariables(config, base),
    history: [...base.history],
    author: base.author,
    baseCreated: base.baseCreated,
  };
}
