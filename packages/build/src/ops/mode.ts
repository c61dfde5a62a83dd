import { SlipwayError } from "@slipway/base";

/** How `--chmod` changes permissions. */
export type ModeChange = (mode: number, isDirectory: boolean) => number;

const BITS = { r: 4, w: 2, x: 1 } as const;

/** `755`, `0755`, or symbolic: `u=rwX,go=rX`, `a+x`, `+t`. Throws `invalid`. */
export function parseMode(text: string): ModeChange {
  if (/^[0-7]{1,5}$/.test(text)) {
    const mode = Number.parseInt(text, 8);
    if (mode <= 0o7777) return () => mode;
  }
  const changes = text.split(",").map((clause) => parseClause(clause, text));
  return (mode, isDirectory) => changes.reduce((value, change) => change(value, isDirectory), mode);
}

function parseClause(clause: string, text: string): ModeChange {
  const match = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause);
  if (match === null) {
    throw new SlipwayError("invalid", `invalid chmod parameter: '${text.slice(0, 100)}'`, {
      hint: "It should be an octal number between 0 and 07777, or symbolic such as u=rwX,go=rX.",
    });
  }
  const [, who = "", actions = ""] = match;
  const classes = who === "" || who.includes("a") ? "ugo" : who;
  const steps = [...actions.matchAll(/([-+=])([rwxXst]*|[ugo])/g)];
  return (start, isDirectory) =>
    steps.reduce((mode, [, sign = "+", what = ""]) => applyAction(mode, { sign, what, classes, isDirectory }), start);
}

interface Action {
  readonly sign: string;
  readonly what: string;
  readonly classes: string;
  readonly isDirectory: boolean;
}

const SHIFT: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };

function applyAction(mode: number, { sign, what, classes, isDirectory }: Action): number {
  let [set, all] = [0, 0];
  for (const name of classes) {
    const shift = SHIFT[name] ?? 0;
    set |= classBits(what, mode, isDirectory) << shift;
    all |= 0o7 << shift;
    if (name === "u") [set, all] = [set | (what.includes("s") ? 0o4000 : 0), all | 0o4000];
    if (name === "g") [set, all] = [set | (what.includes("s") ? 0o2000 : 0), all | 0o2000];
  }
  if (what.includes("t")) set |= 0o1000;
  if (classes === "ugo") all |= 0o1000;
  if (sign === "+") return mode | set;
  return sign === "-" ? mode & ~set : (mode & ~all) | set;
}

function classBits(what: string, mode: number, isDirectory: boolean): number {
  const copied = SHIFT[what];
  if (what.length === 1 && copied !== undefined) return (mode >> copied) & 0o7;
  let bits = 0;
  for (const letter of what) {
    if (letter === "r" || letter === "w" || letter === "x") bits |= BITS[letter];
    // Execution for what can be executed already, and for directories.
    if (letter === "X" && (isDirectory || (mode & 0o111) !== 0)) bits |= 1;
  }
  return bits;
}
