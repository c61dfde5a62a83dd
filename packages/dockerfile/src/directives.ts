import type { SourceRange } from "./source.ts";

/** The comments at the top of a file that steer its parsing. */
export interface Directives {
  /** The front end's image, and the rest of the value as its command line. */
  readonly syntax?: { readonly reference: string; readonly commandLine: string; readonly range: SourceRange };
  readonly escape: "\\" | "`";
  readonly check: CheckDirective;
}

/** `# check=skip=A,B;error=true;experimental=C`. */
export interface CheckDirective {
  readonly skip: "all" | readonly string[];
  readonly error: boolean;
  readonly experimental: "all" | readonly string[];
}
