import { rmSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { messageHeader } from "./descriptor-passing.ts";
import { closeFd, O } from "./file.ts";
import { kernel } from "./kernel.ts";
import { scratch } from "./scratch.ts";
import { AT_FDCWD } from "./stat.ts";
import { check, EAGAIN, EINTR, SystemError } from "./system-error.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const MSG_DONTWAIT = 0x40;
const TCGETS = 0x5401;
const TCSETS = 0x5402;
const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;
/** `struct termios` of the kernel: four words of flags, the line discipline, 19 control characters. */
const KERNEL_TERMIOS_SIZE = 36;
/** Where `c_oflag` lies in it. */
const OUTPUT_FLAGS = 4;
const OPOST = 1;
const TIOCGPTN = 0x80045430;
const TIOCSPTLCK = 0x40045431;
/** sun_path holds 108 bytes with its NUL. */
const LONGEST_SOCKET_PATH = 107;

/** The listening end of an OCI runtime's `--console-socket`. */
export interface ConsoleSocket extends Disposable {
  readonly path: string;
  /** The master of the pty, if it has arrived: an open descriptor, close-on-exec, that is the caller's now. */
  tryReceive(): number | undefined;
  /** Waits for it. runc has sent it when `create` returns, so this rarely turns more than once. */
  receive(signal?: AbortSignal): Promise<number>;
  /** Closes and removes the socket; again does nothing. */
  close(): void;
}

/** Listens at a path (which must not exist, and of at most 107 bytes) for one pty master sent by SCM_RIGHTS. */
export function openConsoleSocket(path: string): ConsoleSocket {
  const { nr, call } = kernel();
  const socket = check(call(nr.socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  try {
    const address = unixAddress(path);
    check(call(nr.bind, socket, address.address, address.length), "bind", path);
    check(call(nr.listen, socket, 1), "listen", path);
  } catch (error) {
    closeFd(socket);
    throw error;
  }
  return new ListeningConsole(path, socket);
}

class ListeningConsole implements ConsoleSocket {
  readonly path: string;
  #socket: number;
  #connection = -1;

  constructor(path: string, socket: number) {
    this.path = path;
    this.#socket = socket;
  }

  tryReceive(): number | undefined {
    const { nr, call } = kernel();
    if (this.#socket < 0) throw new SlipwayError("conflict", `console socket ${this.path} is closed`);
    if (this.#connection < 0) {
      const accepted = call(nr.accept4, this.#socket, 0, 0, SOCK_CLOEXEC);
      if (accepted === -EAGAIN || accepted === -EINTR) return undefined;
      this.#connection = check(accepted, "accept", this.path);
    }
    return receiveDescriptor(this.#connection, this.path);
  }

  async receive(signal?: AbortSignal): Promise<number> {
    for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
      signal?.throwIfAborted();
      const fd = this.tryReceive();
      if (fd !== undefined) return fd;
      await Bun.sleep(pause);
    }
  }

  close(): void {
    if (this.#connection >= 0) closeFd(this.#connection);
    if (this.#socket >= 0) {
      closeFd(this.#socket);
      rmSync(this.path, { force: true });
    }
    this.#connection = -1;
    this.#socket = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function unixAddress(path: string): { readonly address: number; readonly length: number } {
  const bytes = Buffer.from(path);
  if (bytes.length > LONGEST_SOCKET_PATH || bytes.includes(0)) {
    throw new SlipwayError("invalid", `socket path ${path} is longer than ${LONGEST_SOCKET_PATH} bytes`, {
      hint: "choose a shorter --exec-root",
    });
  }
  const memory = scratch();
  const at = memory.zeroed(110);
  memory.view.setUint16(at, AF_UNIX, true);
  memory.bytes.set(bytes, at + 2);
  return { address: memory.address(at), length: 2 + bytes.length + 1 };
}

/** Room for what runc sends with it: the name of the device. */
const PAYLOAD = 4096;
/** struct cmsghdr with one descriptor, rounded up as CMSG_SPACE does. */
const CONTROL = 24;

/** One descriptor out of a message, undefined if none has come yet. */
export function receiveDescriptor(socket: number, name: string): number | undefined {
  const { nr, call } = kernel();
  const memory = scratch();
  const [payload, control] = [memory.take(PAYLOAD), memory.zeroed(CONTROL)];
  const header = messageHeader({ payload, length: PAYLOAD, control, space: CONTROL });
  const result = call(nr.recvmsg, socket, header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (result === -EAGAIN || result === -EINTR) return undefined;
  check(result, "recvmsg", name);
  const isRights =
    memory.view.getUint32(control, true) === 20 &&
    memory.view.getInt32(control + 8, true) === SOL_SOCKET &&
    memory.view.getInt32(control + 12, true) === SCM_RIGHTS;
  if (!isRights)
    throw new SlipwayError("unavailable", `${name}: the runtime closed the console socket without a terminal`);
  return memory.view.getInt32(control + 16, true);
}

/** Sends an open descriptor with a text, as an OCI runtime does with a terminal. */
export function sendDescriptor(path: string, fd: number, text: string): void {
  const { nr, call } = kernel();
  const memory = scratch();
  const socket = check(call(nr.socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  try {
    const to = unixAddress(path);
    check(call(nr.connect, socket, to.address, to.length), "connect", path);
    const bytes = Buffer.from(text === "" ? "-" : text);
    const [payload, control] = [memory.take(bytes.length), memory.zeroed(CONTROL)];
    memory.bytes.set(bytes, payload);
    memory.view.setBigUint64(control, 20n, true);
    memory.view.setInt32(control + 8, SOL_SOCKET, true);
    memory.view.setInt32(control + 12, SCM_RIGHTS, true);
    memory.view.setInt32(control + 16, fd, true);
    check(
      call(nr.sendmsg, socket, messageHeader({ payload, length: bytes.length, control, space: CONTROL }), 0),
      "sendmsg",
      path,
    );
  } finally {
    closeFd(socket);
  }
}

export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** The terminal's program gets SIGWINCH if the size changed. */
export function setWindowSize(fd: number, rows: number, columns: number): void {
  const { nr, call } = kernel();
  const memory = scratch();
  const at = memory.zeroed(8);
  memory.view.setUint16(at, rows, true);
  memory.view.setUint16(at + 2, columns, true);
  check(call(nr.ioctl, fd, TIOCSWINSZ, memory.address(at)), "ioctl TIOCSWINSZ", `fd ${fd}`);
}

export function windowSize(fd: number): WindowSize {
  const { nr, call } = kernel();
  const memory = scratch();
  const at = memory.zeroed(8);
  check(call(nr.ioctl, fd, TIOCGWINSZ, memory.address(at)), "ioctl TIOCGWINSZ", `fd ${fd}`);
  return { rows: memory.view.getUint16(at, true), columns: memory.view.getUint16(at + 2, true) };
}

/**
 * Whether the terminal changes what is written to it, such as a line feed into a carriage return and a line feed.
 * Programs that draw on the whole screen move their cursor down with a line feed and rely on that it does nothing else.
 */
export function setOutputProcessing(fd: number, on: boolean): void {
  const { nr, call } = kernel();
  const memory = scratch();
  const at = memory.zeroed(KERNEL_TERMIOS_SIZE);
  check(call(nr.ioctl, fd, TCGETS, memory.address(at)), "ioctl TCGETS", `fd ${fd}`);
  const flags = memory.view.getUint32(at + OUTPUT_FLAGS, true);
  memory.view.setUint32(at + OUTPUT_FLAGS, on ? flags | OPOST : flags & ~OPOST, true);
  check(call(nr.ioctl, fd, TCSETS, memory.address(at)), "ioctl TCSETS", `fd ${fd}`);
}

/** A new pty: the master's descriptor and the path of the other end. */
export function openPty(): { readonly master: number; readonly path: string } {
  const { nr, call } = kernel();
  const memory = scratch();
  const flags = O.RDWR | O.CLOEXEC | 0o400;
  const master = check(call(nr.openat, AT_FDCWD, memory.path("/dev/ptmx"), flags, 0), "open", "/dev/ptmx");
  try {
    const at = memory.zeroed(4);
    check(call(nr.ioctl, master, TIOCSPTLCK, memory.address(at)), "ioctl TIOCSPTLCK", "/dev/ptmx");
    check(call(nr.ioctl, master, TIOCGPTN, memory.address(at)), "ioctl TIOCGPTN", "/dev/ptmx");
    return { master, path: `/dev/pts/${memory.view.getUint32(at, true)}` };
  } catch (error) {
    closeFd(master);
    throw error;
  }
}

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Who connected to a unix socket, as the kernel knows it. */
export function peerCredentials(socket: number): PeerCredentials {
  const { nr, call } = kernel();
  const memory = scratch();
  const [at, length] = [memory.zeroed(12), memory.take(4)];
  memory.view.setUint32(length, 12, true);
  const result = call(nr.getsockopt, socket, SOL_SOCKET, SO_PEERCRED, memory.address(at), memory.address(length));
  if (result < 0) throw new SystemError("getsockopt SO_PEERCRED", -result, `fd ${socket}`);
  const { view } = memory;
  return { pid: view.getInt32(at, true), uid: view.getUint32(at + 4, true), gid: view.getUint32(at + 8, true) };
}
