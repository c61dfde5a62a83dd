import { SlipwayError } from "@slipway/base";
import type { MountFlag, RunMount } from "./instructions.ts";

/** The options of a mount with their variables expanded by `expandValue`. Throws `invalid` with `details.source`. */
export function resolveMount(_mount: MountFlag, _expandValue: (value: string) => string): RunMount {
  throw new SlipwayError("not-implemented", "resolveMount");
}
