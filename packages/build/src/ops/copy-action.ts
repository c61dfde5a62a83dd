/** What COPY and ADD ask for, with every word expanded. Inputs: the destination root, then `sources[i].input`. */
export interface CopyAction {
  readonly kind: "copy";
  readonly sources: readonly CopySourceSpec[];
  /** Absolute; a trailing slash means: a directory. */
  readonly destination: string;
  /** `user[:group]`, names or numbers. */
  readonly chown?: string;
  /** Octal or symbolic. */
  readonly chmod?: string;
  readonly exclude: readonly string[];
  readonly parents: boolean;
  /** Local archives are unpacked. */
  readonly unpack: boolean;
  /** Archives that were downloaded are unpacked too. */
  readonly unpackDownloads?: boolean;
  /** Seconds; all times become this. */
  readonly epoch?: number;
}

export type CopySourceSpec =
  /** `path` is relative to the root of the input, and may hold wildcards. */
  | { readonly kind: "path"; readonly path: string; readonly input: number }
  | { readonly kind: "heredoc"; readonly name: string; readonly content: string };
