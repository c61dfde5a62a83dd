import type { PathStat } from "../backend.ts";

/** Go's `os.FileMode`, in which the type of a file is not where Unix has it. */
const KIND_BITS: Readonly<Record<PathStat["stat"]["kind"], number>> = {
  file: 0,
  dir: 2 ** 31,
  symlink: 2 ** 27,
  block: 2 ** 26,
  char: 2 ** 26 + 2 ** 21,
  fifo: 2 ** 25,
  socket: 2 ** 24,
};
const [SETUID, SETGID, STICKY] = [2 ** 23, 2 ** 22, 2 ** 20];

/** The value of `X-Docker-Container-Path-Stat`. */
export function pathStatHeader({ name, stat, linkTarget }: PathStat): string {
  const { size, mtime } = stat;
  const document = { name, size, mode: goMode(stat), mtime: rfc3339(mtime), linkTarget };
  return Buffer.from(JSON.stringify(document)).toString("base64");
}

function goMode({ kind, mode }: PathStat["stat"]): number {
  const special = (mode & 0o4000 ? SETUID : 0) + (mode & 0o2000 ? SETGID : 0) + (mode & 0o1000 ? STICKY : 0);
  return KIND_BITS[kind] + special + (mode & 0o777);
}

/** With all nine digits of the nanoseconds, without zeros at the end. */
function rfc3339(nanoseconds: bigint): string {
  const fraction = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const seconds = (nanoseconds - fraction) / 1_000_000_000n;
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const digits = fraction.toString().padStart(9, "0").replace(/0+$/, "");
  return `${whole}${digits === "" ? "" : `.${digits}`}Z`;
}
