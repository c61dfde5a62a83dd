/**
 * Flags as data: from these tables come parsing, help, "did you mean", and later completion and the reference.
 * The kinds are those of Docker's own flag library; what a value means is told in `values.ts`.
 */
export type FlagKind =
  | "bool"
  | "string"
  /** May be repeated; each use adds one element. */
  | "list"
  /** May be repeated, and each use may hold several elements with commas between them. */
  | "strings"
  | "int"
  | "uint"
  /** A decimal number of CPUs, as billionths. */
  | "decimal"
  /** A size such as `64m`, in bytes. */
  | "bytes"
  /** A duration as Go writes it, in nanoseconds. */
  | "duration"
  /** `name=value`, repeated. */
  | "filter";

export interface KindValues {
  bool: boolean;
  string: string;
  list: readonly string[];
  strings: readonly string[];
  int: number;
  uint: number;
  decimal: number;
  bytes: number;
  duration: number;
  filter: Readonly<Record<string, readonly string[]>>;
}

export interface FlagOptions<K extends FlagKind> {
  /** One letter. */
  readonly short?: string;
  readonly default?: KindValues[K];
  /** The word for the value in the help, if another than the kind. */
  readonly type?: string;
  /** The value of `--flag` without one. */
  readonly bare?: string;
  /** A size may be -1, for no limit. */
  readonly unlimited?: boolean;
  /** Accepted for old scripts, not shown. */
  readonly hidden?: boolean;
  /** Words that the value may be, for completion and for errors. */
  readonly choices?: readonly string[];
  /** Throws an `Error` when an element is wrong, so that the mistake is told with the flag's name. */
  readonly check?: (text: string) => void;
}

export interface Flag<K extends FlagKind = FlagKind> extends FlagOptions<K> {
  readonly kind: K;
  readonly help: string;
}

export type Flags = Readonly<Record<string, Flag>>;

type ValueOf<F> = F extends { readonly kind: infer K extends FlagKind } ? KindValues[K] : never;

/** The value of each flag, by its long name. */
export type FlagValues<F extends Flags> = { readonly [Name in keyof F]: ValueOf<F[Name]> };

function make<K extends FlagKind>(kind: K): (help: string, options?: FlagOptions<K>) => Flag<K> {
  return (help, options = {}) => ({ ...options, kind, help });
}

/** One maker for each kind: `flag.bool("Show all containers", { short: "a" })`. */
export const flag = {
  bool: make("bool"),
  string: make("string"),
  list: make("list"),
  strings: make("strings"),
  int: make("int"),
  uint: make("uint"),
  decimal: make("decimal"),
  bytes: make("bytes"),
  duration: make("duration"),
  filter: make("filter"),
} as const;
