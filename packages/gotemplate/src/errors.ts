/**
 * A template that cannot be parsed or executed. The message is worded and placed as Go's `text/template` does it:
 * `template: NAME:LINE: ...` while parsing, `template: NAME:LINE:COLUMN: executing "NAME" at <NODE>: ...` later.
 */
export class TemplateError extends Error {
  /** The error kind that every edge maps: the user's input is wrong. */
  readonly code = "invalid";
  readonly phase: "parse" | "execute";

  constructor(phase: "parse" | "execute", message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "TemplateError";
    this.phase = phase;
  }
}

/** What a function throws; the executor adds the place. */
export class FunctionError extends Error {
  override readonly name = "FunctionError";
}
