import { kernel } from "./kernel.ts";
import { scratch } from "./scratch.ts";
import { check, EAGAIN, EINTR } from "./system-error.ts";

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const LONGEST_LABEL = 512;
/** As many as one message carries here; the kernel's own limit is 253. */
const MOST = 8;
/** struct cmsghdr with its descriptors, rounded up as CMSG_SPACE does. */
const CONTROL = 16 + MOST * 4;
const SO_SNDBUFFORCE = 32;
const SO_PEERPIDFD = 77;

/** Sends up to 8 descriptors with a label of at most 512 bytes over a packet socket. False when its queue is full. */
export function sendLabelled(socket: number, fds: readonly number[], label: string): boolean {
  const { nr, call } = kernel();
  const memory = scratch();
  const bytes = Buffer.from(label).subarray(0, LONGEST_LABEL);
  const [payload, control] = [memory.take(bytes.length), memory.zeroed(CONTROL)];
  memory.bytes.set(bytes, payload);
  memory.view.setBigUint64(control, BigInt(16 + fds.length * 4), true);
  memory.view.setInt32(control + 8, SOL_SOCKET, true);
  memory.view.setInt32(control + 12, SCM_RIGHTS, true);
  for (const [index, fd] of fds.entries()) memory.view.setInt32(control + 16 + index * 4, fd, true);
  const space = 16 + ((fds.length * 4 + 7) & ~7);
  const message = messageHeader({ payload, length: bytes.length, control, space });
  const result = call(nr.sendmsg, socket, message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (result === -EAGAIN || result === -EINTR) return false;
  check(result, "sendmsg");
  return true;
}

/** The next message of a packet socket's queue, or undefined if it is empty. The descriptors are the caller's. */
export function receiveLabelled(
  socket: number,
): { readonly fds: readonly number[]; readonly label: string } | undefined {
  const { nr, call } = kernel();
  const memory = scratch();
  const [payload, control] = [memory.take(LONGEST_LABEL), memory.zeroed(CONTROL)];
  const message = messageHeader({ payload, length: LONGEST_LABEL, control, space: CONTROL });
  const result = call(nr.recvmsg, socket, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (result === -EAGAIN || result === -EINTR) return undefined;
  check(result, "recvmsg");
  const isRights = memory.view.getInt32(control + 12, true) === SCM_RIGHTS;
  const count = isRights ? Math.floor((memory.view.getUint32(control, true) - 16) / 4) : 0;
  const fds = Array.from({ length: count }, (_, index) => memory.view.getInt32(control + 16 + index * 4, true));
  return { fds, label: memory.bytes.toString("utf8", payload, payload + result) };
}

/** Bytes that a socket may queue, past the system's limit. Needs CAP_NET_ADMIN; false without. */
export function setSendBuffer(socket: number, bytes: number): boolean {
  const { nr, call } = kernel();
  const memory = scratch();
  const at = memory.zeroed(8);
  memory.view.setInt32(at, bytes, true);
  return call(nr.setsockopt, socket, SOL_SOCKET, SO_SNDBUFFORCE, memory.address(at), 4) === 0;
}

/** A copy of another process' open descriptor. Needs Linux 5.6 and the right to trace that process. */
export function copyDescriptorOf(pidfd: number, fd: number): number {
  const { nr, call } = kernel();
  return check(call(nr.pidfd_getfd, pidfd, fd, 0), "pidfd_getfd");
}

/**
 * A copy of an open descriptor of the process at the other end of a unix socket: of the very process that connected, never of
 * another that has its number by now. Needs Linux 6.5 and the right to trace that process.
 */
export function copyDescriptorOfPeer(socket: number, fd: number): number {
  const { nr, call } = kernel();
  const memory = scratch();
  const at = memory.zeroed(8);
  memory.view.setUint32(at + 4, 4, true);
  check(
    call(nr.getsockopt, socket, SOL_SOCKET, SO_PEERPIDFD, memory.address(at), memory.address(at + 4)),
    "getsockopt SO_PEERPIDFD",
  );
  const pidfd = memory.view.getInt32(at, true);
  try {
    return copyDescriptorOf(pidfd, fd);
  } finally {
    call(nr.close, pidfd);
  }
}

/** struct msghdr and its one struct iovec; the address of the first. `space`: bytes of control data. */
export function messageHeader(parts: {
  readonly payload: number;
  readonly length: number;
  readonly control: number;
  readonly space: number;
}): number {
  const memory = scratch();
  const { view } = memory;
  const vector = memory.take(16);
  view.setBigUint64(vector, BigInt(memory.address(parts.payload)), true);
  view.setBigUint64(vector + 8, BigInt(parts.length), true);
  const at = memory.zeroed(56);
  view.setBigUint64(at + 16, BigInt(memory.address(vector)), true);
  view.setBigUint64(at + 24, 1n, true);
  view.setBigUint64(at + 32, BigInt(memory.address(parts.control)), true);
  view.setBigUint64(at + 40, BigInt(parts.space), true);
  return memory.address(at);
}
