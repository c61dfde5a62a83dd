import { kernel } from "./kernel.ts";
import { scratch } from "./scratch.ts";
import { check, ENODATA, ENOTSUP, ERANGE, SystemError } from "./system-error.ts";

/** XATTR_SIZE_MAX and XATTR_LIST_MAX of Linux. */
const LARGEST_VALUE = 65536;

/** The value of an extended attribute of the path itself, or undefined if it has none or its file system knows none. */
export function lgetxattr(path: string, name: string): Uint8Array | undefined {
  const memory = scratch();
  return readValue(memory.path(path), memory.string(name), path, name);
}

/** The names of all attributes that the caller may see. A file system without attributes has none. */
export function llistxattr(path: string): string[] {
  return readNames(scratch().path(path), path);
}

/** Names and values, sorted by name; an attribute that vanishes meanwhile is left out. */
export function readXattrs(path: string): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  const names = llistxattr(path);
  if (names.length === 0) return found;
  for (const name of names.sort()) {
    const value = lgetxattr(path, name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

export function lsetxattr(path: string, name: string, value: Uint8Array): void {
  const { nr, call } = kernel();
  const memory = scratch();
  const [at, key, bytes] = [memory.path(path), memory.string(name), memory.copy(value)];
  check(call(nr.lsetxattr, at, key, bytes, value.length, 0), `lsetxattr ${name}`, path);
}

/** Removes an attribute; one that is not there is an error with code ENODATA. */
export function lremovexattr(path: string, name: string): void {
  const { nr, call } = kernel();
  const memory = scratch();
  const [at, key] = [memory.path(path), memory.string(name)];
  check(call(nr.lremovexattr, at, key), `lremovexattr ${name}`, path);
}

function readValue(path: number, name: number, text: string, key: string): Uint8Array | undefined {
  const { nr, call } = kernel();
  const memory = scratch();
  let room = 512;
  for (;;) {
    const at = memory.take(room);
    const length = call(nr.lgetxattr, path, name, memory.address(at), room);
    if (length === -ERANGE && room < LARGEST_VALUE) {
      room = LARGEST_VALUE;
      continue;
    }
    if (length === -ENODATA || length === -ENOTSUP) return undefined;
    if (length < 0) throw new SystemError(`lgetxattr ${key}`, -length, text);
    return new Uint8Array(memory.bytes.subarray(at, at + length));
  }
}

function readNames(path: number, text: string): string[] {
  const { nr, call } = kernel();
  const memory = scratch();
  let room = 1024;
  for (;;) {
    const at = memory.take(room);
    const length = call(nr.llistxattr, path, memory.address(at), room);
    if (length === 0 || length === -ENOTSUP) return [];
    if (length === -ERANGE && room < LARGEST_VALUE) {
      room = LARGEST_VALUE;
      continue;
    }
    if (length < 0) throw new SystemError("llistxattr", -length, text);
    return memory.bytes
      .toString("utf8", at, at + length)
      .split("\0")
      .filter((name) => name !== "");
  }
}
