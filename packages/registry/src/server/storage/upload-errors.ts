import { SlipwayError } from "@slipway/base";

/** What can be wrong with an upload, in every store. */
export function unknownUpload(): SlipwayError {
  return new SlipwayError("not-found", "there is no such upload", { hint: "It may have expired: begin a new one." });
}

export function outOfOrder(offset: number, expected: number): SlipwayError {
  return new SlipwayError("conflict", `a chunk begins at byte ${offset}, but byte ${expected} is next`);
}

export function tooLarge(limit: number): SlipwayError {
  return new SlipwayError("exhausted", `the blob is larger than the limit of ${limit} bytes`, { details: { limit } });
}

export function wrongLength(length: number | undefined, which: "more" | "fewer"): SlipwayError {
  return new SlipwayError("invalid", `the request brought ${which} than the ${length} bytes that it announced`);
}
