import { nearest, SlipwayError } from "@slipway/base";

/** signal(7) for x86 and ARM. */
const NUMBERS: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  STKFLT: 16,
  CHLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  TTOU: 22,
  URG: 23,
  XCPU: 24,
  XFSZ: 25,
  VTALRM: 26,
  PROF: 27,
  WINCH: 28,
  IO: 29,
  PWR: 30,
  SYS: 31,
};
const ALIASES: Readonly<Record<string, number>> = { IOT: 6, CLD: 17, POLL: 29 };
const RTMIN = 34;
const RTMAX = 64;

/** From `SIGTERM`, `term`, `15`, `RTMIN+3`, `SIGRTMAX-1`. Throws `invalid` for anything else. */
export function signalNumber(text: string): number {
  const plain = text.trim().toUpperCase();
  if (/^\d+$/.test(plain)) {
    const number = Number(plain);
    if (number >= 1 && number <= RTMAX) return number;
    throw new SlipwayError("invalid", `invalid signal: ${text}`, { hint: `signals are 1 to ${RTMAX}` });
  }
  const name = plain.startsWith("SIG") ? plain.slice(3) : plain;
  const number = NUMBERS[name] ?? ALIASES[name] ?? realTime(name);
  if (number !== undefined) return number;
  const hint = nearest(name, Object.keys(NUMBERS));
  throw new SlipwayError(
    "invalid",
    `invalid signal: ${text}`,
    hint === undefined ? {} : { hint: `did you mean SIG${hint}?` },
  );
}

function realTime(name: string): number | undefined {
  const match = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (match === null) return undefined;
  const offset = Number(match[3] ?? 0) * (match[2] === "-" ? -1 : 1);
  const number = (match[1] === "MIN" ? RTMIN : RTMAX) + offset;
  return number >= RTMIN && number <= RTMAX ? number : undefined;
}

/** `SIGTERM` for 15, `SIGRTMIN+1` for 35. */
export function signalName(number: number): string {
  for (const [name, each] of Object.entries(NUMBERS)) if (each === number) return `SIG${name}`;
  if (number === RTMIN) return "SIGRTMIN";
  if (number === RTMAX) return "SIGRTMAX";
  if (number > RTMIN && number < RTMAX)
    return number < 50 ? `SIGRTMIN+${number - RTMIN}` : `SIGRTMAX-${RTMAX - number}`;
  throw new SlipwayError("invalid", `no signal has the number ${number}`);
}
