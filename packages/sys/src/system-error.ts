import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";

export const ENOENT = constants.errno.ENOENT;
export const EINTR = constants.errno.EINTR;
export const EAGAIN = constants.errno.EAGAIN;
export const EEXIST = constants.errno.EEXIST;
export const EINVAL = constants.errno.EINVAL;
export const ENODATA = constants.errno.ENODATA;
export const ENOTDIR = constants.errno.ENOTDIR;
export const ENOTSUP = constants.errno.EOPNOTSUPP;
export const ENOSYS = constants.errno.ENOSYS;
export const ENAMETOOLONG = constants.errno.ENAMETOOLONG;
export const ERANGE = constants.errno.ERANGE;
export const ESRCH = constants.errno.ESRCH;
export const ECHILD = constants.errno.ECHILD;
export const EXDEV = constants.errno.EXDEV;
export const EPERM = constants.errno.EPERM;

/** A failed system call, in the shape that `node:fs` throws: `code`, `errno` (negative), `syscall`, `path`. */
export class SystemError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly path: string | undefined;

  constructor(syscall: string, errno: number, path?: string, detail?: string) {
    const known = getSystemErrorMap().get(-errno);
    const code = known?.[0] ?? nameOf(errno);
    const place = path === undefined ? "" : ` '${path}'`;
    super(`${code}: ${known?.[1] ?? "system error"}, ${syscall}${place}${detail ? `: ${detail}` : ""}`);
    this.name = "SystemError";
    this.code = code;
    this.errno = -errno;
    this.syscall = syscall;
    this.path = path;
  }
}

/** For the numbers that the runtime has no text for. */
function nameOf(errno: number): string {
  for (const [name, number] of Object.entries(constants.errno)) if (number === errno) return name;
  return `E${errno}`;
}

/** Passes a result of `Kernel.call` on, or throws it. */
export function check(result: number, syscall: string, path?: string): number {
  if (result < 0) throw new SystemError(syscall, -result, path);
  return result;
}
