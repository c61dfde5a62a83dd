import type { SourceRange } from "./source.ts";

/** A build check as a value, with its page. Names, descriptions and addresses are Docker's: editors match on them. */
export interface Rule {
  readonly name: RuleName;
  readonly description: string;
  readonly url: string;
  /** Found only when the check directive or the caller asks for it. */
  readonly experimental: boolean;
  /** What is wrong with it and what to write instead. */
  readonly page: string;
}

/** One finding of a build check. */
export interface Warning {
  readonly rule: RuleName;
  readonly description: string;
  readonly message: string;
  readonly url: string;
  readonly range: SourceRange;
}

export const RULE_NAMES = [
  "StageNameCasing",
  "FromAsCasing",
  "NoEmptyContinuation",
  "ConsistentInstructionCasing",
  "DuplicateStageName",
  "ReservedStageName",
  "JSONArgsRecommended",
  "MaintainerDeprecated",
  "UndefinedArgInFrom",
  "WorkdirRelativePath",
  "UndefinedVar",
  "MultipleInstructionsDisallowed",
  "LegacyKeyValueFormat",
  "InvalidBaseImagePlatform",
  "RedundantTargetPlatform",
  "SecretsUsedInArgOrEnv",
  "InvalidDefaultArgInFrom",
  "FromPlatformFlagConstDisallowed",
  "CopyIgnoredFile",
  "InvalidDefinitionDescription",
  "ExposeProtoCasing",
  "ExposeInvalidFormat",
] as const;

export type RuleName = (typeof RULE_NAMES)[number];

/** Description and page of each rule. */
const TEXTS: Readonly<Record<RuleName, readonly [description: string, page: string]>> = {
  StageNameCasing: [
    "Stage names should be lowercase",
    "References to stages ignore case, so capitals only suggest a difference that is not there. Write `FROM alpine AS builder`.",
  ],
  FromAsCasing: [
    "The 'as' keyword should match the case of the 'from' keyword",
    "One line, one style: `FROM alpine AS builder` or `from alpine as builder`.",
  ],
  NoEmptyContinuation: [
    "Empty continuation lines will become errors in a future release",
    "A line that continues (`\\`) is followed by a line with nothing on it. Remove the blank line, or put a comment there.",
  ],
  ConsistentInstructionCasing: [
    "All commands within the Dockerfile should use the same casing (either upper or lower)",
    "Write every keyword in capitals (the custom), or every keyword in small letters.",
  ],
  DuplicateStageName: [
    "Stage names should be unique",
    "A later stage of the same name hides the earlier one: `FROM name` and `COPY --from=name` become guesswork. Rename one.",
  ],
  ReservedStageName: [
    "Reserved words should not be used as stage names",
    "`scratch` is the empty image and `context` the build context. Choose another name.",
  ],
  JSONArgsRecommended: [
    "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    'In shell form a shell is process 1 and does not pass signals on, so that `stop` waits and then kills. Write `CMD ["program", "argument"]`, or name the shell with SHELL when you want one.',
  ],
  MaintainerDeprecated: [
    "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    'Write `LABEL org.opencontainers.image.authors="name@example.com"`.',
  ],
  UndefinedArgInFrom: [
    "FROM command must use declared ARGs",
    "Only ARGs that stand before the first FROM, and the platform arguments, have a value in FROM. Declare it there.",
  ],
  WorkdirRelativePath: [
    "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
    "A relative WORKDIR hangs on the base image's directory. Write an absolute path at least once in the stage.",
  ],
  UndefinedVar: [
    "Variables should be defined before their use",
    "The variable is neither an ARG nor an ENV at this line, nor one of the base image's, and is empty. Declare it, or mend its spelling.",
  ],
  MultipleInstructionsDisallowed: [
    "Multiple instructions of the same type should not be used in the same stage",
    "An image has one CMD, one ENTRYPOINT and one HEALTHCHECK: the last. Remove the earlier ones.",
  ],
  LegacyKeyValueFormat: [
    "Legacy key/value format with whitespace separator should not be used",
    'Write `ENV key=value`; quote a value with blanks: `ENV key="a value"`.',
  ],
  InvalidBaseImagePlatform: [
    "Base image platform does not match expected target platform",
    "The image named in FROM exists for another platform only. Choose an image for yours, or build with `--platform`.",
  ],
  RedundantTargetPlatform: [
    "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    "Leave `--platform=$TARGETPLATFORM` out.",
  ],
  SecretsUsedInArgOrEnv: [
    "Sensitive data should not be used in the ARG or ENV commands",
    "Values of ARG and ENV stay in the image's history and configuration. Use `RUN --mount=type=secret`.",
  ],
  InvalidDefaultArgInFrom: [
    "Default value for global ARG results in an empty or invalid base image name",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the syntax of Dockerfiles
    "Without `--build-arg` the FROM has no valid image. Give the ARG a default: `ARG TAG=latest` or `${TAG:-latest}`.",
  ],
  FromPlatformFlagConstDisallowed: [
    "FROM --platform flag should not use a constant value",
    "A fixed platform makes the file build for one platform only. Use `$BUILDPLATFORM`, or `--platform` when you build, or name the stage after its platform.",
  ],
  CopyIgnoredFile: [
    "Attempting to Copy file that is excluded by .dockerignore",
    "The ignore file keeps the path out of the context, so that it cannot be copied. Change the rule or the path.",
  ],
  InvalidDefinitionDescription: [
    "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
    "A comment directly above FROM or ARG describes it and begins with its name: `# VERSION is the version to build`.",
  ],
  ExposeProtoCasing: ["Protocol in EXPOSE instruction should be lowercase", "Write `EXPOSE 80/tcp`."],
  ExposeInvalidFormat: [
    "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
    "EXPOSE says where the container listens. Addresses and host ports are given with `run -p`.",
  ],
};

const EXPERIMENTAL: ReadonlySet<RuleName> = new Set<RuleName>(["InvalidDefinitionDescription"]);

/** `StageNameCasing` is `stage-name-casing` in addresses; a run of capitals is one word. */
function pageName(name: RuleName): string {
  return name.replace(/([a-z])([A-Z])|([A-Z])(?=[A-Z][a-z])/g, "$1$3-$2").toLowerCase();
}

export const RULES: ReadonlyMap<RuleName, Rule> = new Map(
  RULE_NAMES.map((name) => {
    const [description, page] = TEXTS[name];
    // This one has no page of its own among Docker's.
    const url =
      name === "InvalidBaseImagePlatform" ? "" : `https://docs.docker.com/go/dockerfile/rule/${pageName(name)}/`;
    return [name, { name, description, page, url, experimental: EXPERIMENTAL.has(name) }];
  }),
);

export function warning(name: RuleName, message: string, range: SourceRange): Warning {
  const rule = RULES.get(name);
  return { rule: name, description: rule?.description ?? "", message, url: rule?.url ?? "", range };
}
