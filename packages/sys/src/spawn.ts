import { dlopen, FFIType, type Pointer } from "bun:ffi";
import { SlipwayError } from "@slipway/base";
import { kernel } from "./kernel.ts";
import { scratch } from "./scratch.ts";
import { check, SystemError } from "./system-error.ts";

const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;
/** Larger than posix_spawnattr_t, posix_spawn_file_actions_t and sigset_t of either C library. */
const OPAQUE = 512;

export interface SpawnOptions {
  readonly env: Readonly<Record<string, string>>;
  /** Descriptors of ours that become the program's 0, 1 and 2. All others of ours must be close-on-exec. */
  readonly stdio: readonly [stdin: number, stdout: number, stderr: number];
  /** Starts a session of its own. */
  readonly session?: boolean;
}

/**
 * Starts a program (an absolute path) and returns its pid. Nobody waits for it: that is the caller's, with `waitPid` or a
 * pidfd. For a process with an event loop of its own; others use `Bun.spawn`. All signals have their default action and
 * none is blocked.
 */
export function spawnProcess(path: string, args: readonly string[], options: SpawnOptions): number {
  const libc = spawnFunctions();
  const memory = scratch();
  const [actions, attributes] = [pointer(memory.zeroed(OPAQUE)), pointer(memory.zeroed(OPAQUE))];
  const [every, none, pid] = [memory.take(OPAQUE), memory.zeroed(OPAQUE), memory.zeroed(8)];
  memory.bytes.fill(0xff, every, every + OPAQUE);
  libc.posix_spawn_file_actions_init(actions);
  libc.posix_spawnattr_init(attributes);
  try {
    for (const [target, source] of options.stdio.entries()) {
      // An earlier step would already have replaced it.
      if (source >= 0 && source < target) {
        throw new SlipwayError("invalid", `descriptor ${source} cannot become ${target} of a program`);
      }
      libc.posix_spawn_file_actions_adddup2(actions, source, target);
    }
    const session = options.session === true ? POSIX_SPAWN_SETSID : 0;
    libc.posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | session);
    libc.posix_spawnattr_setsigdefault(attributes, pointer(every));
    libc.posix_spawnattr_setsigmask(attributes, pointer(none));
    const errno = libc.posix_spawn(
      pointer(pid),
      memory.path(path) as Pointer,
      actions,
      attributes,
      stringList([path, ...args]) as Pointer,
      stringList(environmentList(options.env)) as Pointer,
    );
    if (errno !== 0) throw new SystemError("posix_spawn", errno, path);
    return memory.view.getInt32(pid, true);
  } finally {
    libc.posix_spawn_file_actions_destroy(actions);
    libc.posix_spawnattr_destroy(attributes);
  }
}

/** Becomes another program; returns only by throwing. Descriptors that are not close-on-exec stay open. */
export function replaceProcess(path: string, args: readonly string[], env: Readonly<Record<string, string>>): never {
  const { nr, call } = kernel();
  const result = call(nr.execve, scratch().path(path), stringList([path, ...args]), stringList(environmentList(env)));
  throw new SystemError("execve", -result, path);
}

/** Whether the kernel runs x32 programs: getpid with x32's bit. */
export function supportsX32(): boolean {
  if (process.arch !== "x64") return false;
  const { nr, call } = kernel();
  return call(0x40000000 + nr.getpid) > 0;
}

/** Close-on-exec on or off. */
export function setCloseOnExec(fd: number, on: boolean): void {
  const { nr, call } = kernel();
  check(call(nr.fcntl, fd, 2, on ? 1 : 0), "fcntl", `fd ${fd}`);
}

function pointer(offset: number): Pointer {
  return scratch().address(offset) as Pointer;
}

function environmentList(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

/** Address of a list of texts as C programs take it, closed by a null pointer. */
function stringList(texts: readonly string[]): number {
  const memory = scratch();
  const at = memory.zeroed((texts.length + 1) * 8);
  for (const [index, text] of texts.entries()) {
    memory.view.setBigUint64(at + index * 8, BigInt(memory.string(text)), true);
  }
  return memory.address(at);
}

const { ptr: address, i32, i16 } = FFIType;
const SIGNATURES = {
  posix_spawn: { args: [address, address, address, address, address, address], returns: i32 },
  posix_spawn_file_actions_init: { args: [address], returns: i32 },
  posix_spawn_file_actions_destroy: { args: [address], returns: i32 },
  posix_spawn_file_actions_adddup2: { args: [address, i32, i32], returns: i32 },
  posix_spawnattr_init: { args: [address], returns: i32 },
  posix_spawnattr_destroy: { args: [address], returns: i32 },
  posix_spawnattr_setflags: { args: [address, i16], returns: i32 },
  posix_spawnattr_setsigdefault: { args: [address, address], returns: i32 },
  posix_spawnattr_setsigmask: { args: [address, address], returns: i32 },
} as const;

function bindSpawn() {
  const musl = process.arch === "x64" ? "libc.musl-x86_64.so.1" : "libc.musl-aarch64.so.1";
  try {
    return dlopen("libc.so.6", SIGNATURES).symbols;
  } catch {
    return dlopen(musl, SIGNATURES).symbols;
  }
}

let functions: ReturnType<typeof bindSpawn> | undefined;

function spawnFunctions(): ReturnType<typeof bindSpawn> {
  return (functions ??= bindSpawn());
}
