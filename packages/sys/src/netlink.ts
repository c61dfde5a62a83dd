import { SlipwayError } from "@slipway/base";
import { closeFd } from "./file.ts";
import { kernel } from "./kernel.ts";
import { scratch } from "./scratch.ts";
import { check, EINTR, SystemError } from "./system-error.ts";

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOL_NETLINK = 270;
const NETLINK_EXT_ACK = 11;
const NETLINK_CAP_ACK = 10;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F = { REQUEST: 1, ACK: 4, DUMP: 0x300, CAPPED: 0x100, ACK_TLVS: 0x200 } as const;
const HEADER = 16;
const RECEIVE = 64 * 1024;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const ANSWER_SECONDS = 5;

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

export interface NetlinkRequest {
  /** `RTM_NEWLINK`, ... */
  readonly type: number;
  /** Beside `NLM_F_REQUEST` and `NLM_F_ACK`, which are set here. */
  readonly flags: number;
  /** Everything behind the message header, aligned to 4. */
  readonly body: Uint8Array;
  /** What it does, for the error's text. */
  readonly what: string;
  /** The kernel is asked for no answer; it gives one only if it fails. For the marks around a batch of nfnetlink. */
  readonly silent?: boolean;
}

/** A netlink socket of the network namespace in which it was opened. Every call waits for the kernel's answer. */
export class NetlinkSocket implements Disposable {
  #fd: number;
  #sequence = 0;

  constructor(protocol: number) {
    const { nr, call } = kernel();
    this.#fd = check(call(nr.socket, AF_NETLINK, SOCK_RAW_CLOEXEC, protocol), "socket", "netlink");
    const memory = scratch();
    const on = memory.zeroed(4);
    memory.view.setUint32(on, 1, true);
    for (const option of [NETLINK_EXT_ACK, NETLINK_CAP_ACK]) {
      call(nr.setsockopt, this.#fd, SOL_NETLINK, option, memory.address(on), 4);
    }
    // An answer that never comes must not hold the process for ever.
    const patience = memory.zeroed(16);
    memory.view.setUint32(patience, ANSWER_SECONDS, true);
    call(nr.setsockopt, this.#fd, SOL_SOCKET, SO_RCVTIMEO, memory.address(patience), 16);
  }

  /** Sends requests in one message; the kernel works them off in order. Throws the first failure, when all are answered. */
  transact(requests: readonly NetlinkRequest[]): void {
    const failure = this.attempt(requests).find((each) => each !== undefined);
    if (failure !== undefined) throw failure;
  }

  /** As `transact`, but gives each request's failure, or undefined, in their order. */
  attempt(requests: readonly NetlinkRequest[]): (SystemError | undefined)[] {
    const first = this.#sequence + 1;
    this.#send(requests, NLM_F.ACK);
    const results: (SystemError | undefined)[] = Array(requests.length).fill(undefined);
    const awaited = new Set(requests.flatMap((request, index) => (request.silent ? [] : [first + index])));
    while (awaited.size > 0) {
      this.#receive((type, sequence, at, end) => {
        if (type !== NLMSG_ERROR || sequence < first) return;
        awaited.delete(sequence);
        const request = requests[sequence - first];
        const errno = -scratch().view.getInt32(at + HEADER, true);
        if (errno !== 0 && request !== undefined) {
          results[sequence - first] = new SystemError(request.what, errno, undefined, extendedMessage(at, end));
        }
      });
    }
    return results;
  }

  /** All answers to a question (a dump), each the part behind its message header. */
  dump(request: NetlinkRequest): Uint8Array[] {
    this.#send([request], NLM_F.DUMP);
    const answers: Uint8Array[] = [];
    let done = false;
    while (!done) {
      this.#receive((type, _sequence, at, end) => {
        const { view, bytes } = scratch();
        if (type === NLMSG_DONE) done = true;
        else if (type === NLMSG_ERROR) {
          const errno = -view.getInt32(at + HEADER, true);
          if (errno !== 0) throw new SystemError(request.what, errno);
          done = true;
        } else answers.push(new Uint8Array(bytes.subarray(at + HEADER, end)));
      });
    }
    return answers;
  }

  close(): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #send(requests: readonly NetlinkRequest[], flags: number): void {
    const { nr, call } = kernel();
    const memory = scratch();
    const total = requests.reduce((sum, each) => sum + HEADER + align(each.body.length), 0);
    const start = memory.zeroed(total);
    let at = start;
    for (const { type, flags: own, body, silent } of requests) {
      memory.view.setUint32(at, HEADER + body.length, true);
      memory.view.setUint16(at + 4, type, true);
      memory.view.setUint16(at + 6, NLM_F.REQUEST | (silent ? 0 : flags) | own, true);
      memory.view.setUint32(at + 8, ++this.#sequence, true);
      memory.bytes.set(body, at + HEADER);
      at += HEADER + align(body.length);
    }
    const sent = call(nr.sendto, this.#fd, memory.address(start), total, 0, 0, 0);
    check(sent, "netlink send");
  }

  #receive(each: (type: number, sequence: number, at: number, end: number) => void): void {
    const { nr, call } = kernel();
    const memory = scratch();
    const start = memory.take(RECEIVE);
    const length = call(nr.recvfrom, this.#fd, memory.address(start), RECEIVE, 0, 0, 0);
    if (length === -EINTR) return;
    check(length, "netlink receive");
    for (let at = start; at + HEADER <= start + length; ) {
      const size = memory.view.getUint32(at, true);
      if (size < HEADER || at + size > start + length) throw new SlipwayError("internal", "malformed netlink answer");
      each(memory.view.getUint16(at + 4, true), memory.view.getUint32(at + 8, true), at, at + size);
      at += align(size);
    }
  }
}

function align(size: number): number {
  return (size + 3) & ~3;
}

/** The kernel's own words about a failure (NLMSGERR_ATTR_MSG), if it has any. */
function extendedMessage(at: number, end: number): string | undefined {
  const { view, bytes } = scratch();
  const flags = view.getUint16(at + 6, true);
  if ((flags & NLM_F.ACK_TLVS) === 0) return undefined;
  // The failed request's header comes back, and without NETLINK_CAP_ACK its body as well.
  const echoed = flags & NLM_F.CAPPED ? HEADER : view.getUint32(at + HEADER + 4, true);
  for (let attr = at + HEADER + 4 + align(echoed); attr + 4 <= end; ) {
    const length = view.getUint16(attr, true);
    if (length < 4) return undefined;
    if (view.getUint16(attr + 2, true) === 1) return bytes.toString("utf8", attr + 4, attr + length - 1);
    attr += align(length);
  }
  return undefined;
}
