/** A masked frame as clients send them (RFC 6455, section 5.2). */
export function clientFrame(
  opcode: number,
  data: string | Uint8Array,
  options: { readonly final?: boolean } = {},
): Uint8Array {
  const payload = Buffer.from(data);
  const mask = Buffer.from([0x11, 0x22, 0x33, 0x44]);
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length <= 0xffff ? 4 : 10);
  head.writeUInt8((options.final === false ? 0 : 0x80) | opcode, 0);
  head.writeUInt8(0x80 | (length < 126 ? length : length <= 0xffff ? 126 : 127), 1);
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, mask, payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0))]);
}
