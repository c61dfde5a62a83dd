import { SlipwayError } from "@slipway/base";
import type { Dockerfile } from "./dockerfile.ts";
import type { EscapeCharacter } from "./expand.ts";
import type { StageInstruction } from "./instructions.ts";

export interface ParseOptions {
  /** The name for messages and ranges: `Dockerfile` unless told. */
  readonly file?: string;
}

/** Throws `invalid` with `details.source` and a message that shows the lines. */
export function parseDockerfile(_text: string | Uint8Array, _options: ParseOptions = {}): Dockerfile {
  throw new SlipwayError("not-implemented", "parseDockerfile");
}

/** An `OnBuild` entry of an image. The ranges count within the trigger; `file` says whose it is. Throws `invalid`. */
export function parseTrigger(
  _trigger: string,
  _options: ParseOptions & { readonly escape?: EscapeCharacter } = {},
): StageInstruction {
  throw new SlipwayError("not-implemented", "parseTrigger");
}
