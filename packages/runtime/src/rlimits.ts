import { readFileSync } from "node:fs";
import { SlipwayError } from "@slipway/base";

export interface Rlimit {
  /** `nofile`, `NOFILE` or `RLIMIT_NOFILE`. */
  readonly name: string;
  readonly soft: number;
  /** -1 for no limit. */
  readonly hard: number;
}

/** The rows of proc_pid_limits(5). */
const ROWS: Readonly<Record<string, string>> = {
  as: "Max address space",
  core: "Max core file size",
  cpu: "Max cpu time",
  data: "Max data size",
  fsize: "Max file size",
  locks: "Max file locks",
  memlock: "Max locked memory",
  msgqueue: "Max msgqueue size",
  nice: "Max nice priority",
  nofile: "Max open files",
  nproc: "Max processes",
  rss: "Max resident set",
  rtprio: "Max realtime priority",
  rttime: "Max realtime timeout",
  sigpending: "Max pending signals",
  stack: "Max stack size",
};

/** RLIM_INFINITY as a JSON number: the runtimes read it as an unsigned 64-bit integer. */
const INFINITY = 18446744073709551615n;
const CAP_SYS_RESOURCE = 24n;

/**
 * Rlimits in the specification's form. Without CAP_SYS_RESOURCE a hard limit above our own would make the runtime fail in
 * the middle of a start: it is refused here instead, with the largest value that would work. Throws `invalid`.
 */
export function checkRlimits(
  limits: readonly Rlimit[],
  host: () => string = () => readFileSync("/proc/self/limits", "latin1"),
): { type: string; soft: number; hard: number }[] {
  if (limits.length === 0) return [];
  const own = mayRaise() ? undefined : host();
  return limits.map((limit) => {
    const name = limit.name.toLowerCase().replace(/^rlimit_/, "");
    const row = ROWS[name];
    if (row === undefined) throw new SlipwayError("invalid", `invalid ulimit type: ${limit.name}`);
    const [soft, hard] = [limitOf(limit.soft), limitOf(limit.hard)];
    if (soft > hard) {
      throw new SlipwayError(
        "invalid",
        `ulimit ${name}: soft limit ${limit.soft} is above the hard limit ${limit.hard}`,
      );
    }
    const most = own === undefined ? INFINITY : hardLimit(own, row);
    if (hard > most) {
      throw new SlipwayError("invalid", `ulimit ${name}=${limit.hard} is above the limit of this host, ${most}`, {
        hint: `The engine runs without CAP_SYS_RESOURCE. Ask for at most ${most}, or start the engine with a higher limit.`,
      });
    }
    return { type: `RLIMIT_${name.toUpperCase()}`, soft: jsonNumber(soft), hard: jsonNumber(hard) };
  });
}

function limitOf(limit: number): bigint {
  return limit < 0 ? INFINITY : BigInt(Math.trunc(limit));
}

function jsonNumber(value: bigint): number {
  return Number(value);
}

function hardLimit(text: string, row: string): bigint {
  const line = text.split("\n").find((candidate) => candidate.startsWith(row)) ?? "";
  const [, hard] = line.slice(row.length).trim().split(/\s+/);
  return hard === undefined || hard === "unlimited" ? INFINITY : BigInt(hard);
}

function mayRaise(): boolean {
  const match = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "latin1"));
  return ((BigInt(`0x${match?.[1] ?? "0"}`) >> CAP_SYS_RESOURCE) & 1n) === 1n;
}
