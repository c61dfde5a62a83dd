import { isError, SlipwayError } from "@slipway/base";
import { renderExcerpt, type SourceRange, type SourceText } from "@slipway/dockerfile";

/** Runs something for one instruction; what it throws without a place gets the instruction's. */
export function atPlace<T>(source: SourceText, range: SourceRange, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw placed(source, range, error);
  }
}

/** An error with the place of an instruction and its lines, unless it has one already. */
export function placed(source: SourceText, range: SourceRange, error: unknown): unknown {
  if (!isError(error) || error.details.source !== undefined) return error;
  const options = error.hint === undefined ? {} : { hint: error.hint };
  const message = `${range.file}:${range.startLine}: ${error.message}\n\n${renderExcerpt(source, range, { header: false })}\n`;
  return new SlipwayError(error.code, message, {
    ...options,
    cause: error,
    details: { ...error.details, source: range, problem: error.message },
  });
}
