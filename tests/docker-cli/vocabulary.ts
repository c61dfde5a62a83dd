/**
 * The words that the sections are written in.
 *
 * A section is a list of steps and assertions that run in order, each one shell line. `docker` in it is the client under
 * test, `$BASE` the base image, `$PORT1` to `$PORT3` free ports; the working directory is the section's own and empty.
 * `wait_for 'command'` repeats a command until it succeeds, for ten seconds at most.
 */

/** A text without its last newline, a pattern, or a question that answers true. */
export type Output = string | RegExp | ((text: string) => boolean);

export interface Expected {
  readonly code: number;
  readonly out: Output;
  readonly err: Output;
}

export interface Assertion {
  readonly kind: "assertion";
  /** What a user may rely on; unique in its section. */
  readonly sentence: string;
  readonly command: string;
  readonly expected: Expected;
}

/** What must be done before the next assertion can ask. It must end with 0. */
export interface Step {
  readonly kind: "step";
  readonly command: string;
}

export interface Section {
  readonly name: string;
  readonly lines: readonly (Assertion | Step)[];
}

export function section(name: string, lines: readonly (Assertion | Step)[]): Section {
  return { name, lines };
}

export function step(command: string): Step {
  return { kind: "step", command };
}

/** The command succeeds, writes this and nothing to standard error. */
export function is(sentence: string, command: string, out: Output): Assertion {
  return { kind: "assertion", sentence, command, expected: { code: 0, out, err: "" } };
}

/** The command fails with this code, says why on standard error and writes nothing else. */
export function fails(sentence: string, command: string, code: number, err: Output): Assertion {
  return { kind: "assertion", sentence, command, expected: { code, out: "", err } };
}

/** Whatever is not said is: ends with 0, standard error empty, standard output anything. */
export function check(sentence: string, command: string, expected: Partial<Expected>): Assertion {
  return { kind: "assertion", sentence, command, expected: { code: 0, out: anything, err: "", ...expected } };
}

export const anything = (): boolean => true;

/** The engine's message as the client passes it on; older ones shorten what comes before it. */
export function daemonSays(message: string): RegExp {
  return new RegExp(`^(docker: )?Error( response from daemon)?: ${escapePattern(message)}`);
}

export function lines(count: number): (text: string) => boolean {
  return (text) => (text === "" ? 0 : text.split("\n").length) === count;
}

/** These lines, in any order. */
export function theLines(...expected: readonly string[]): (text: string) => boolean {
  return (text) => text.split("\n").sort().join("\n") === [...expected].sort().join("\n");
}

/** 64 hexadecimal digits, as the whole output. */
export const FULL_ID = /^[0-9a-f]{64}$/;

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
