import { posix } from "node:path";
import { SlipwayError } from "@slipway/base";
import {
  type AddInstruction,
  type CopyInstruction,
  type CopySource,
  expandHeredoc,
  hasGlob,
} from "@slipway/dockerfile";
import { type Vertex, vertex } from "../graph.ts";
import type { CopyAction, CopySourceSpec } from "../ops/copy-action.ts";
import { isNamedOwner } from "../ops/owner.ts";
import { destinationPath, isGitUrl, isHttpUrl, sourcePath, urlFileName } from "./copy-words.ts";
import { copyHistory } from "./history.ts";
import { type Planner, scratchVertex } from "./plan.ts";
import { MAIN_CONTEXT } from "./plan-request.ts";
import { aboutStep, epochOf, expandIn } from "./stage-instructions.ts";
import { type StageState, workdirOf } from "./stage-state.ts";

type Copying = CopyInstruction | AddInstruction;

/** COPY and ADD: the destination root and one input for each place that files come from. */
export function planCopy(planner: Planner, state: StageState, instruction: Copying): void {
  const word = (text: string) => expandIn(planner, state, text, instruction.range);
  const name = instruction.kind === "copy" ? "COPY" : "ADD";
  const destination = destinationPath(word(instruction.destination), workdirOf(state));
  if (instruction.sources.length > 1 && !destination.endsWith("/")) {
    throw new SlipwayError(
      "invalid",
      `when using ${name} with more than one source file, the destination must be a directory and end with a /`,
      { hint: `Write ${destination}/` },
    );
  }
  const inputs = new Inputs(planner, instruction, word, destination);
  const sources = instruction.sources.flatMap((source) => inputs.sources(source, state));
  const action: CopyAction = {
    kind: "copy",
    sources: sources.map(({ spec }) => spec),
    destination,
    ...(instruction.chown !== undefined && { chown: word(instruction.chown) }),
    ...(instruction.chmod !== undefined && { chmod: word(instruction.chmod) }),
    exclude: instruction.exclude.map(word),
    parents: instruction.kind === "copy" && instruction.parents,
    unpack: instruction.kind === "add" && instruction.unpack !== false,
    ...(instruction.kind === "add" && instruction.unpack === true && { unpackDownloads: true }),
    ...epochOf(planner),
  };
  const about = aboutStep(planner, state, instruction);
  // A copy on an empty root finds no names of users there.
  const link = instruction.link && (action.chown === undefined || !isNamedOwner(action.chown));
  const made = link ? linked(state.root, action, inputs.vertices, about) : undefined;
  state.root = made ?? vertex({ type: "file", action }, [state.root, ...inputs.vertices], about);
  const createdBy = copyHistory(name, action, {
    sources: sources.map(({ shown }) => shown),
    link: instruction.link,
    ...(instruction.kind === "add" && instruction.checksum !== undefined && { checksum: word(instruction.checksum) }),
  });
  state.history.push({ createdBy, vertex: state.root });
}

/** `--link`: the copy is made on an empty root, whatever lies below, and then put above it. */
function linked(root: Vertex, action: CopyAction, inputs: readonly Vertex[], about: Vertex["about"]): Vertex {
  const copy = vertex({ type: "file", action }, [scratchVertex(), ...inputs], about);
  const { noCache: _fresh, ...rest } = about;
  return vertex({ type: "merge" }, [root, copy], { ...rest, name: `${about.name} (merge)` });
}

interface PlannedSource {
  readonly spec: CopySourceSpec;
  /** As the history shows it. */
  readonly shown: string;
}

class Inputs {
  readonly vertices: Vertex[] = [];
  readonly #planner: Planner;
  readonly #instruction: Copying;
  readonly #word: (text: string) => string;
  readonly #destination: string;

  constructor(planner: Planner, instruction: Copying, word: (text: string) => string, destination: string) {
    this.#planner = planner;
    this.#instruction = instruction;
    this.#word = word;
    this.#destination = destination;
  }

  sources(source: CopySource, state: StageState): PlannedSource[] {
    if (source.kind === "heredoc") {
      const { name, content, expand } = source.heredoc;
      const text = expand ? expandHeredoc(content, state.variables).value : content;
      return [{ spec: { kind: "heredoc", name, content: text }, shown: `<<${name}` }];
    }
    const path = this.#word(source.path);
    if (this.#instruction.kind === "add" && isGitUrl(path)) return [this.#git(path)];
    if (this.#instruction.kind === "add" && isHttpUrl(path)) return [this.#http(path)];
    if (this.#instruction.kind === "copy" && isHttpUrl(path)) {
      throw new SlipwayError("invalid", "source can't be a URL for COPY", { hint: `ADD takes URLs: ADD ${path} ...` });
    }
    if (this.#instruction.kind === "add" && this.#instruction.checksum !== undefined) {
      throw new SlipwayError("invalid", "checksum can't be specified for local sources", {
        hint: "--checksum is for URLs and git repositories. Remove it, or put the file and its check into a RUN.",
      });
    }
    return [this.#files(path)];
  }

  #files(written: string): PlannedSource {
    const { kind } = this.#instruction;
    const from = kind === "copy" ? this.#instruction.from : undefined;
    // The pivot of --parents must survive: only what stands before it is cleaned away.
    const keepsPivot = kind === "copy" && this.#instruction.parents;
    const path = keepsPivot ? pivoted(written) : sourcePath(written);
    if (hasGlob(path)) checkPattern(path);
    return { spec: { kind: "path", path, input: this.#input(this.#filesVertex(from, path)) }, shown: written };
  }

  #filesVertex(from: string | undefined, path: string): Vertex {
    if (from === undefined) return this.#planner.context(MAIN_CONTEXT, path.replace("/./", "/"));
    const { vertex, isContext } = this.#planner.reference(from, this.#instruction.range);
    return isContext ? this.#planner.context(from, path.replace("/./", "/")) : vertex;
  }

  #http(url: string): PlannedSource {
    const named = urlFileName(url);
    if (this.#destination.endsWith("/") && named === "") {
      throw new SlipwayError("invalid", `cannot tell the file name from ${url}`, {
        hint: "Give a destination that is a file's path.",
      });
    }
    const fileName = named || "index";
    const { checksum } = this.#addFlags();
    const operation = {
      type: "source" as const,
      kind: "http" as const,
      url,
      fileName,
      ...(checksum !== undefined && { checksum }),
    };
    const made = vertex(operation, [], this.#about(`download ${url}`));
    return { spec: { kind: "path", path: fileName, input: this.#input(made) }, shown: url };
  }

  #git(url: string): PlannedSource {
    const { checksum, keepGitDir } = this.#addFlags();
    const operation = {
      type: "source" as const,
      kind: "git" as const,
      url,
      keepGitDir,
      ...(checksum !== undefined && { checksum }),
    };
    const made = vertex(operation, [], this.#about(`clone ${url}`));
    return { spec: { kind: "path", path: "", input: this.#input(made) }, shown: url };
  }

  #about(text: string): Vertex["about"] {
    return { name: text, text, position: 0, source: this.#instruction.range };
  }

  #addFlags(): { readonly checksum?: string; readonly keepGitDir: boolean } {
    if (this.#instruction.kind !== "add") return { keepGitDir: false };
    const { checksum, keepGitDir } = this.#instruction;
    return { keepGitDir: keepGitDir ?? false, ...(checksum !== undefined && { checksum: this.#word(checksum) }) };
  }

  /** The number of the input; sources of the same place share one. */
  #input(vertex: Vertex): number {
    const known = this.vertices.findIndex((other) => other.id === vertex.id);
    return known >= 0 ? known + 1 : this.vertices.push(vertex);
  }
}

/** `a/./b` with both sides cleaned, and the pivot kept between them. */
function pivoted(written: string): string {
  const at = written.indexOf("/./");
  if (at < 0) return written.startsWith("./") ? sourcePath(written.slice(2)) : sourcePath(written);
  const [before, after] = [sourcePath(written.slice(0, at)), sourcePath(written.slice(at + 3))];
  return posix.join("/", before).slice(1) === "" ? after : `${before}/./${after}`;
}

function checkPattern(path: string): void {
  if (path.length > 4096) throw new SlipwayError("invalid", "a pattern of over 4096 characters");
}
