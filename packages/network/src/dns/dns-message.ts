import { type Family, formatIp, type IpAddress, ipBytes, ipOfBytes, parseIp } from "../addresses/ip-block.ts";

/** Messages of DNS, as far as a resolver of names of containers needs them (RFC 1035, 3596, 6891). Everything read here is hostile. */

export const TYPE = { A: 1, PTR: 12, AAAA: 28, OPT: 41, ANY: 255 } as const;
export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
export type Rcode = (typeof RCODE)[keyof typeof RCODE];

const CLASS_IN = 1;
const HEADER = 12;
const FLAG = { RESPONSE: 0x8000, OPCODE: 0x7800, TRUNCATED: 0x200, RECURSION_DESIRED: 0x100, RECURSION: 0x80 } as const;
/** Bytes over UDP: what every client takes, and the most that we send even if one takes more. */
const SMALLEST = 512;
const LARGEST = 4096;
/** Clients may ask again soon: a container comes back with another address. */
const TTL_SECONDS = 10;

export interface DnsQuestion {
  readonly id: number;
  readonly flags: number;
  /** Lower case, without the last dot; `` for the root. */
  readonly name: string;
  readonly type: number;
  readonly isInternet: boolean;
  /** The question section as it came: the answer repeats it, in its upper and lower case. */
  readonly section: Uint8Array;
  /** Bytes that the client takes over UDP. */
  readonly udpSize: number;
  /** The client speaks EDNS, so does the answer. */
  readonly edns: boolean;
}

export type ParsedQuery =
  | { readonly kind: "question"; readonly question: DnsQuestion }
  /** Refused with this answer. */
  | { readonly kind: "refused"; readonly answer: Uint8Array }
  /** No answer at all: it is none of a query's business, or an answer, which answered would go round for ever. */
  | { readonly kind: "ignored" };

export function parseQuery(bytes: Uint8Array): ParsedQuery {
  if (bytes.length < HEADER) return { kind: "ignored" };
  const view = viewOf(bytes);
  const flags = view.getUint16(2);
  if ((flags & FLAG.RESPONSE) !== 0) return { kind: "ignored" };
  if ((flags & FLAG.OPCODE) !== 0) return { kind: "refused", answer: bareAnswer(bytes, RCODE.NOTIMP) };
  const name = view.getUint16(4) === 1 ? readName(bytes, HEADER) : undefined;
  if (name === undefined || name.end + 4 > bytes.length) {
    return { kind: "refused", answer: bareAnswer(bytes, RCODE.FORMERR) };
  }
  const end = name.end + 4;
  const udpSize = ednsSize(view, end);
  const question: DnsQuestion = {
    id: view.getUint16(0),
    flags,
    name: name.text,
    type: view.getUint16(name.end),
    isInternet: view.getUint16(name.end + 2) === CLASS_IN,
    section: bytes.slice(HEADER, end),
    udpSize: Math.min(Math.max(udpSize ?? SMALLEST, SMALLEST), LARGEST),
    edns: udpSize !== undefined,
  };
  return { kind: "question", question };
}

/** A name of a question: nothing before it could be pointed to, so a pointer is an attack. Bounded by its 255 bytes. */
function readName(bytes: Uint8Array, start: number): { readonly text: string; readonly end: number } | undefined {
  const labels: string[] = [];
  for (let at = start; at - start < 255; ) {
    const length = bytes[at];
    if (length === undefined || length > 63) return undefined;
    if (length === 0) return { text: labels.join("."), end: at + 1 };
    const label = bytes.subarray(at + 1, at + 1 + length);
    if (label.length < length) return undefined;
    // A dot inside a label would look like the border of two.
    labels.push(Buffer.from(label).toString("latin1").replaceAll(".", "\\.").toLowerCase());
    at += 1 + length;
  }
  return undefined;
}

/** Of the OPT record, which clients put directly behind the question. */
function ednsSize(view: DataView, at: number): number | undefined {
  const hasOnlyExtra = view.getUint16(6) === 0 && view.getUint16(8) === 0 && view.getUint16(10) > 0;
  if (!hasOnlyExtra || at + 11 > view.byteLength) return undefined;
  return view.getUint8(at) === 0 && view.getUint16(at + 1) === TYPE.OPT ? view.getUint16(at + 3) : undefined;
}

function bareAnswer(query: Uint8Array, rcode: Rcode): Uint8Array {
  const answer = new Uint8Array(HEADER);
  answer.set(query.subarray(0, 4));
  const view = viewOf(answer);
  view.setUint16(
    2,
    (view.getUint16(2) & (FLAG.OPCODE | FLAG.RECURSION_DESIRED)) | FLAG.RESPONSE | FLAG.RECURSION | rcode,
  );
  return answer;
}

/** What a record holds behind its header. */
export interface DnsRecord {
  readonly type: number;
  readonly data: Uint8Array;
}

export function addressRecord(address: IpAddress): DnsRecord {
  return { type: address.family === 4 ? TYPE.A : TYPE.AAAA, data: ipBytes(address) };
}

/** Undefined for a name that DNS cannot write. */
export function nameRecord(name: string): DnsRecord | undefined {
  const data = writeName(name);
  return data && { type: TYPE.PTR, data };
}

function writeName(name: string): Uint8Array | undefined {
  const labels = name.split(".").map((label) => Buffer.from(label));
  if (labels.some((label) => label.length === 0 || label.length > 63)) return undefined;
  const bytes = Buffer.concat([...labels.flatMap((label) => [Uint8Array.of(label.length), label]), Uint8Array.of(0)]);
  return bytes.length > 255 ? undefined : bytes;
}

/** The answer to a question; over UDP (`limit`) with as many records as fit, and the mark that there are more. */
export function writeAnswer(
  question: DnsQuestion,
  rcode: Rcode,
  { records = [], limit = 65535 }: { readonly records?: readonly DnsRecord[]; readonly limit?: number } = {},
): Uint8Array {
  const extra = question.edns ? 11 : 0;
  let size = HEADER + question.section.length + extra;
  const fitting = records.filter(({ data }) => (size += 12 + data.length) <= limit);
  const answer = Buffer.alloc(
    HEADER + question.section.length + extra + fitting.reduce((sum, { data }) => sum + 12 + data.length, 0),
  );
  const truncated = fitting.length < records.length ? FLAG.TRUNCATED : 0;
  answer.writeUInt16BE(question.id, 0);
  answer.writeUInt16BE(
    FLAG.RESPONSE | (question.flags & FLAG.RECURSION_DESIRED) | FLAG.RECURSION | truncated | rcode,
    2,
  );
  answer.writeUInt16BE(1, 4);
  answer.writeUInt16BE(fitting.length, 6);
  answer.writeUInt16BE(question.edns ? 1 : 0, 10);
  answer.set(question.section, HEADER);
  let at = HEADER + question.section.length;
  for (const { type, data } of fitting) {
    // The name is the question's: a pointer to it.
    answer.writeUInt16BE(0xc000 | HEADER, at);
    answer.writeUInt16BE(type, at + 2);
    answer.writeUInt16BE(CLASS_IN, at + 4);
    answer.writeUInt32BE(TTL_SECONDS, at + 6);
    answer.writeUInt16BE(data.length, at + 10);
    answer.set(data, at + 12);
    at += 12 + data.length;
  }
  if (question.edns) {
    answer.writeUInt16BE(TYPE.OPT, at + 1);
    answer.writeUInt16BE(LARGEST, at + 3);
  }
  return answer;
}

/** Whether `answer` is one to this question: under this ID, and about the same thing. */
export function isAnswerTo(answer: Uint8Array, id: number, section: Uint8Array): boolean {
  if (answer.length < HEADER) return false;
  const view = viewOf(answer);
  if (view.getUint16(0) !== id || (view.getUint16(2) & FLAG.RESPONSE) === 0) return false;
  // Servers that cannot read a query answer without repeating it.
  if (view.getUint16(4) === 0) return rcodeOf(answer) !== RCODE.NOERROR;
  if (answer.length < HEADER + section.length) return false;
  return section.every((byte, index) => lower(byte) === lower(answer[HEADER + index] ?? 0));
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

export function rcodeOf(answer: Uint8Array): number {
  return (answer[3] ?? 0) & 15;
}

/** A copy under another ID. */
export function withId(message: Uint8Array, id: number): Uint8Array {
  const copy = Uint8Array.from(message);
  viewOf(copy).setUint16(0, id);
  return copy;
}

/** Cuts an answer down to its question, marked as truncated: the client asks again over TCP. */
export function truncateAnswer(answer: Uint8Array, section: Uint8Array): Uint8Array {
  const copy = answer.slice(0, HEADER + section.length);
  const view = viewOf(copy);
  view.setUint16(2, view.getUint16(2) | FLAG.TRUNCATED);
  for (const count of [6, 8, 10]) view.setUint16(count, 0);
  return copy;
}

/** The address that a reverse name asks for: `5.0.18.172.in-addr.arpa`, or 32 digits below `ip6.arpa`. */
export function reverseAddress(name: string): IpAddress | undefined {
  const ipv4 = /^(\d{1,3}(?:\.\d{1,3}){3})\.in-addr\.arpa$/.exec(name)?.[1];
  if (ipv4 !== undefined) return parseIp(ipv4.split(".").reverse().join("."));
  const digits = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name)?.[1];
  if (digits === undefined) return undefined;
  return ipOfBytes(Buffer.from(digits.replaceAll(".", "").split("").reverse().join(""), "hex"));
}

/** The name of `reverseAddress`. */
export function reverseName(address: IpAddress): string {
  if (address.family === 4) return `${formatIp(address).split(".").reverse().join(".")}.in-addr.arpa`;
  const digits = Buffer.from(ipBytes(address)).toString("hex").split("").reverse().join(".");
  return `${digits}.ip6.arpa`;
}

export function familyOfType(type: number): Family | undefined {
  if (type === TYPE.A) return 4;
  return type === TYPE.AAAA ? 6 : undefined;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
