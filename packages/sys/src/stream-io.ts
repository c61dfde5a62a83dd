import { ptr } from "bun:ffi";
import { kernel } from "./kernel.ts";
import { scratch } from "./scratch.ts";
import { check, EAGAIN, EINTR } from "./system-error.ts";

/** What the non-blocking calls here return instead of a count when they would have to wait. */
export const WOULD_BLOCK = -1;

const SIOCOUTQ = 0x5411;
const SPLICE_F_NONBLOCK = 2;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_SEQPACKET = 5;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;

function count(result: number, what: string): number {
  return result === -EAGAIN || result === -EINTR ? WOULD_BLOCK : check(result, what);
}

/** Reads into a buffer: the count, 0 at the end, or `WOULD_BLOCK`. */
export function readSome(fd: number, into: Uint8Array): number {
  const { nr, call } = kernel();
  return count(call(nr.read, fd, Number(ptr(into)), into.length), "read");
}

/** Writes what fits: the count or `WOULD_BLOCK`. */
export function writeSome(fd: number, data: Uint8Array): number {
  if (data.length === 0) return 0;
  const { nr, call } = kernel();
  return count(call(nr.write, fd, Number(ptr(data)), data.length), "write");
}

/** As `writeSome` for a socket; a peer that has gone is EPIPE and no signal. */
export function sendSome(socket: number, data: Uint8Array): number {
  if (data.length === 0) return 0;
  const { nr, call } = kernel();
  return count(call(nr.sendto, socket, Number(ptr(data)), data.length, MSG_NOSIGNAL, 0, 0), "send");
}

/** Copies what one pipe holds into another without taking it out: bytes, 0 without writers, or `WOULD_BLOCK`. */
export function teePipe(from: number, to: number, length: number): number {
  const { nr, call } = kernel();
  return count(call(nr.tee, from, to, length, SPLICE_F_NONBLOCK), "tee");
}

/** Moves bytes from a pipe into another descriptor inside the kernel. */
export function splicePipe(from: number, to: number, length: number): number {
  const { nr, call } = kernel();
  return count(call(nr.splice, from, 0, to, 0, length, SPLICE_F_NONBLOCK), "splice");
}

/** Accepts a connection, non-blocking and close-on-exec, or `WOULD_BLOCK`. */
export function acceptConnection(listener: number): number {
  const { nr, call } = kernel();
  return count(call(nr.accept4, listener, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK), "accept");
}

/** Listens on a unix socket at a path of at most 107 bytes, which must not exist. */
export function listenUnix(path: string, backlog = 128): number {
  const { nr, call } = kernel();
  const memory = scratch();
  const socket = check(call(nr.socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  const bytes = Buffer.from(path);
  const at = memory.zeroed(110);
  memory.view.setUint16(at, AF_UNIX, true);
  memory.bytes.set(bytes.subarray(0, 107), at + 2);
  const bound = call(nr.bind, socket, memory.address(at), 2 + Math.min(bytes.length, 107) + 1);
  const result = bound < 0 ? bound : call(nr.listen, socket, backlog);
  if (result < 0) call(nr.close, socket);
  check(result, "bind", path);
  return socket;
}

/** Two connected packet sockets that are inherited by programs started from here. */
export function inheritedSocketPair(): readonly [number, number] {
  const { nr, call } = kernel();
  const memory = scratch();
  const at = memory.zeroed(8);
  check(call(nr.socketpair, AF_UNIX, SOCK_SEQPACKET, 0, memory.address(at)), "socketpair");
  return [memory.view.getInt32(at, true), memory.view.getInt32(at + 4, true)];
}

/** Bytes (with the kernel's own per message) that the other end of a unix stream socket has not read yet; 0 if that is not known. */
export function unreadByPeer(socket: number): number {
  const { nr, call } = kernel();
  const memory = scratch();
  const at = memory.zeroed(4);
  return call(nr.ioctl, socket, SIOCOUTQ, memory.address(at)) < 0 ? 0 : memory.view.getInt32(at, true);
}
