import type { Healthcheck } from "@slipway/oci";
import type { SourceRange } from "./source.ts";

/**
 * A word as it stands in the file, with its quotes, escapes and variables. `expand` turns it into its value with the
 * environment of its place in the stage; for one instruction all words see the same environment.
 */
export type RawWord = string;

interface InstructionBase {
  readonly range: SourceRange;
  /** The logical line: continuations joined, comments dropped, heredoc bodies left out. `RUN make all`. */
  readonly original: string;
}

/** `"exec"` is run as it is; `"shell"` is one line for the stage's SHELL. */
export type CommandLine =
  | { readonly form: "exec"; readonly args: readonly string[] }
  | { readonly form: "shell"; readonly line: string };

/** How a RUN runs. A `script` is a heredoc with a `#!` line: a file of that content and mode 0755, executed itself. */
export type RunProgram = CommandLine | { readonly form: "script"; readonly name: string; readonly content: string };

export interface Heredoc {
  /** The word without quotes. It is the file's name in COPY and ADD. */
  readonly name: string;
  /** With tabs stripped already when written `<<-`. */
  readonly content: string;
  /** False when the word was quoted: nothing in the content is expanded. */
  readonly expand: boolean;
  /** Written `<<-`: leading tabs are dropped. */
  readonly chomp: boolean;
  /** The number before `<<`, 0 unless written. */
  readonly fileDescriptor: number;
  /** The lines of the body with the closing word. */
  readonly range: SourceRange;
}

export interface KeyValue {
  readonly key: RawWord;
  readonly value: RawWord;
}

export interface FromInstruction extends InstructionBase {
  readonly kind: "from";
  readonly image: RawWord;
  readonly platform?: RawWord;
  /** As written; `Stage.name` is the lower-case form that references use. */
  readonly alias?: string;
}

export interface ArgInstruction extends InstructionBase {
  readonly kind: "arg";
  readonly args: readonly {
    readonly name: RawWord;
    readonly value?: RawWord;
    /** From the comment `# <name> text` directly above. */
    readonly description?: string;
  }[];
}

export interface EnvInstruction extends InstructionBase {
  readonly kind: "env";
  readonly pairs: readonly KeyValue[];
}

export interface LabelInstruction extends InstructionBase {
  readonly kind: "label";
  readonly pairs: readonly KeyValue[];
}

export interface RunInstruction extends InstructionBase {
  readonly kind: "run";
  /** What stands in the file. */
  readonly command: CommandLine;
  readonly heredocs: readonly Heredoc[];
  /** What to run: heredocs are already folded in. RUN words are never expanded here; the shell does that. */
  readonly program: RunProgram;
  readonly mounts: readonly MountFlag[];
  readonly network: "default" | "none" | "host";
  readonly security: "sandbox" | "insecure";
  readonly devices: readonly { readonly name: string; readonly required: boolean }[];
}

/** A `--mount` as written; `resolveMount` gives its options, with variables expanded. */
export interface MountFlag {
  readonly text: string;
  readonly range: SourceRange;
  /** `from` takes no variables, so that it is known before anything runs. Lower case is not applied. */
  readonly from?: string;
}

interface MountCommon {
  readonly target: string;
}

/** A `RUN --mount` with all defaults applied. Modes are numbers (0o755), sizes bytes. */
export type RunMount =
  | (MountCommon & {
      readonly type: "bind";
      /** A stage, image or named context; the main context when absent. */
      readonly from?: string;
      readonly source: string;
      readonly readonly: boolean;
    })
  | (MountCommon & {
      readonly type: "cache";
      readonly id: string;
      readonly sharing: "shared" | "private" | "locked";
      readonly from?: string;
      readonly source: string;
      readonly readonly: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    })
  | (MountCommon & { readonly type: "tmpfs"; readonly size?: number })
  | {
      readonly type: "secret";
      readonly id: string;
      /** Absent when the secret is only an environment variable. */
      readonly target?: string;
      readonly env?: string;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      readonly type: "ssh";
      readonly id: string;
      /** Absent: `/run/buildkit/ssh_agent.N`, counted by the builder. */
      readonly target?: string;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    };

export type CopySource =
  | { readonly kind: "path"; readonly path: RawWord }
  | { readonly kind: "heredoc"; readonly heredoc: Heredoc };

interface CopyFlags {
  readonly chown?: RawWord;
  readonly chmod?: RawWord;
  readonly link: boolean;
  readonly exclude: readonly RawWord[];
}

export interface CopyInstruction extends InstructionBase, CopyFlags {
  readonly kind: "copy";
  readonly sources: readonly CopySource[];
  readonly destination: RawWord;
  /** A stage's name or number, an image or a named context; never expanded. */
  readonly from?: string;
  readonly parents: boolean;
}

export interface AddInstruction extends InstructionBase, CopyFlags {
  readonly kind: "add";
  readonly sources: readonly CopySource[];
  readonly destination: RawWord;
  readonly checksum?: RawWord;
  readonly keepGitDir?: boolean;
  /** Undefined: local tars are unpacked, remote ones are not. */
  readonly unpack?: boolean;
}

export interface WorkdirInstruction extends InstructionBase {
  readonly kind: "workdir";
  readonly path: RawWord;
}

export interface UserInstruction extends InstructionBase {
  readonly kind: "user";
  readonly user: RawWord;
}

export interface ExposeInstruction extends InstructionBase {
  readonly kind: "expose";
  /** Each may expand to several words (`expandWords`); `parsePortSpecs` makes `80/tcp` of them. */
  readonly ports: readonly RawWord[];
}

export interface VolumeInstruction extends InstructionBase {
  readonly kind: "volume";
  readonly paths: readonly RawWord[];
}

export interface CmdInstruction extends InstructionBase {
  readonly kind: "cmd";
  readonly command: CommandLine;
}

export interface EntrypointInstruction extends InstructionBase {
  readonly kind: "entrypoint";
  /** An exec form without words removes an inherited entry point. */
  readonly command: CommandLine;
}

export interface ShellInstruction extends InstructionBase {
  readonly kind: "shell";
  readonly shell: readonly string[];
}

export interface StopsignalInstruction extends InstructionBase {
  readonly kind: "stopsignal";
  readonly signal: RawWord;
}

export interface HealthcheckInstruction extends InstructionBase {
  readonly kind: "healthcheck";
  /** As it goes into the image's configuration; times in nanoseconds. `Test` is `["NONE"]` for `HEALTHCHECK NONE`. */
  readonly check: Healthcheck;
}

export interface MaintainerInstruction extends InstructionBase {
  readonly kind: "maintainer";
  readonly maintainer: string;
}

export interface OnbuildInstruction extends InstructionBase {
  readonly kind: "onbuild";
  /** What goes into the image's `OnBuild`, heredoc bodies with it. `parseTrigger` reads it back. */
  readonly trigger: string;
  readonly instruction: StageInstruction;
}

/** What may stand in a stage after its FROM. */
export type StageInstruction =
  | AddInstruction
  | ArgInstruction
  | CmdInstruction
  | CopyInstruction
  | EntrypointInstruction
  | EnvInstruction
  | ExposeInstruction
  | HealthcheckInstruction
  | LabelInstruction
  | MaintainerInstruction
  | OnbuildInstruction
  | RunInstruction
  | ShellInstruction
  | StopsignalInstruction
  | UserInstruction
  | VolumeInstruction
  | WorkdirInstruction;

export type Instruction = FromInstruction | StageInstruction;
