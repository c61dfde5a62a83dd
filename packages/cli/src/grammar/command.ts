import type { Session } from "../session.ts";
import type { Flags, FlagValues } from "./flag.ts";

export interface Invocation<F extends Flags> {
  readonly flags: FlagValues<F>;
  /** Whether a flag was given at all, also when with its default. */
  readonly given: (name: keyof F & string) => boolean;
  readonly args: readonly string[];
  readonly session: Session;
}

export interface ArgumentCount {
  readonly min: number;
  readonly max: number;
}

/** One command, whole: what its help shows and what it does. It returns its exit code; nothing means 0. */
export interface Command<F extends Flags = Flags> {
  /** What follows the command's name in its usage line: `[OPTIONS] CONTAINER [CONTAINER...]`. */
  readonly usage: string;
  readonly flags: F;
  readonly args: ArgumentCount;
  /** Whether flags may stand after the first positional; true unless given. */
  readonly interspersed?: boolean;
  /** All words after the name are the command's own, also those that look like flags. */
  readonly raw?: boolean;
  /** Lines of the help after the flags: a command and what it does. */
  readonly examples?: readonly (readonly [command: string, what: string])[];
  readonly run: (invocation: Invocation<F>) => Promise<number | undefined>;
}

/** Fixes the types of a command's flags; the table forgets them again. */
export function command<const F extends Flags>(definition: Command<F>): Command {
  return definition as unknown as Command;
}

export const NO_ARGUMENTS: ArgumentCount = { min: 0, max: 0 };
export const ANY: number = Number.POSITIVE_INFINITY;
export const exactly = (count: number): ArgumentCount => ({ min: count, max: count });
export const atLeast = (count: number): ArgumentCount => ({ min: count, max: ANY });
export const atMost = (count: number): ArgumentCount => ({ min: 0, max: count });

/** A row of the command table. The command itself is loaded when it is needed, for its module costs start-up time. */
export type Entry = CommandEntry | GroupEntry | AbsentEntry;

export interface CommandEntry {
  readonly kind: "command";
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly load: () => Promise<Command>;
  /** Whole paths that do the same, for the help: `container ls`, `ps`. */
  readonly also?: readonly string[];
  readonly hidden?: boolean;
}

export interface GroupEntry {
  readonly kind: "group";
  readonly name: string;
  readonly summary: string;
  readonly entries: readonly Entry[];
}

/** A command of Docker's that is not here: it answers with one line. */
export interface AbsentEntry {
  readonly kind: "absent";
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** Why, and what to do instead. */
  readonly reason: string;
}
