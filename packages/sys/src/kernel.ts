import { dlopen, FFIType, read } from "bun:ffi";
import { SlipwayError } from "@slipway/base";
import { type SyscallNumbers, syscallNumbers } from "./syscall-numbers.ts";

type RawSyscall = (number: number, a: number, b: number, c: number, d: number, e: number, f: number) => number | bigint;

/** The way into the kernel: libc's `syscall(2)`, one symbol for all calls, because each symbol costs time to bind. */
export interface Kernel {
  readonly nr: SyscallNumbers;
  /** The result, or the negated errno. Numbers only: addresses come from `Scratch`. */
  call(number: number, a?: number, b?: number, c?: number, d?: number, e?: number, f?: number): number;
}

let opened: Kernel | undefined;

/** Binds libc at the first call, so that a program that only prints its version pays nothing. */
export function kernel(): Kernel {
  return (opened ??= open());
}

function open(): Kernel {
  const nr = process.platform === "linux" ? syscallNumbers(process.arch) : undefined;
  if (nr === undefined) {
    throw new SlipwayError(
      "unavailable",
      `Slipway's engine needs Linux on x86-64 or arm64, this is ${process.platform} on ${process.arch}`,
    );
  }
  const { syscall, errnoAddress } = bindLibc();
  return {
    nr,
    call(number, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0) {
      const result = Number(syscall(number, a, b, c, d, e, f));
      // errno is read before anything else can run: it belongs to this thread, and so does this module's instance.
      return result === -1 ? -read.i32(errnoAddress) : result;
    },
  };
}

function bindLibc(): { syscall: RawSyscall; errnoAddress: Parameters<typeof read.i32>[0] } {
  const long = FFIType.i64_fast;
  const signatures = {
    syscall: { args: [long, long, long, long, long, long, long], returns: long },
    __errno_location: { args: [], returns: FFIType.ptr },
  } as const;
  const names = ["libc.so.6", process.arch === "x64" ? "libc.musl-x86_64.so.1" : "libc.musl-aarch64.so.1"];
  let cause: unknown;
  for (const name of names) {
    try {
      const { symbols } = dlopen(name, signatures);
      const errnoAddress = symbols.__errno_location();
      if (errnoAddress === null) throw new Error("no errno");
      return { syscall: symbols.syscall, errnoAddress };
    } catch (error) {
      cause = error;
    }
  }
  throw new SlipwayError("unavailable", `no C library found: tried ${names.join(" and ")}`, { cause });
}
