import { SlipwayError } from "@slipway/base";

/** `80/tcp` of expanded EXPOSE words: `80`, `53/udp`, `8000-8010`; sorted, each once. Throws `invalid`. */
export function parsePortSpecs(_words: readonly string[]): string[] {
  throw new SlipwayError("not-implemented", "parsePortSpecs");
}
