import { describe, expect, test } from "bun:test";
import { clientFrame } from "../testing/client-frame.ts";
import { encodeFrame, type FrameError, FrameParser } from "./websocket-frames.ts";

/** All events of the bytes, given in pieces of `size`, data joined. */
function parse(bytes: Uint8Array, size = bytes.length): { data: string; others: unknown[] } {
  const parser = new FrameParser();
  const data: Uint8Array[] = [];
  const others: unknown[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    for (const event of parser.push(bytes.subarray(at, at + size))) {
      if (event.kind === "data") data.push(event.data);
      else if (event.kind === "ping") others.push(`ping ${Buffer.from(event.payload)}`);
      else others.push(event.code);
    }
  }
  return { data: Buffer.concat(data).toString(), others };
}

describe("what a client sends", () => {
  const long = "ä".repeat(40_000);
  const conversation = Buffer.concat([
    clientFrame(0x2, "one "),
    clientFrame(0x1, "tw", { final: false }),
    clientFrame(0x9, "are you there"),
    clientFrame(0x0, "o", { final: false }),
    clientFrame(0x0, " ", { final: true }),
    clientFrame(0xa, "unasked"),
    clientFrame(0x2, "x".repeat(200)),
    clientFrame(0x1, long),
    clientFrame(0x8, Buffer.from([0x03, 0xe8])),
  ]);

  test.each([1, 2, 3, 7, 4096, 1 << 20])("is understood in pieces of %d bytes", (size) => {
    const { data, others } = parse(conversation, size);
    expect(data).toBe(`one two ${"x".repeat(200)}${long}`);
    expect(others).toEqual(["ping are you there", 1000]);
  });

  test("a close without a code is a normal one", () => {
    expect(parse(clientFrame(0x8, "")).others).toEqual([1000]);
  });
});

describe("what is forbidden", () => {
  test.each<[string, Uint8Array, number]>([
    ["a frame without a mask", encodeFrame("binary", Buffer.from("x")), 1002],
    ["reserved bits", clientFrame(0x2 | 0x40, "x"), 1002],
    ["an unknown opcode", clientFrame(0x3, "x"), 1002],
    ["a fragmented ping", clientFrame(0x9, "x", { final: false }), 1002],
    ["a ping of 126 bytes", clientFrame(0x9, "x".repeat(126)), 1002],
    ["a continuation of nothing", clientFrame(0x0, "x"), 1002],
    ["a message within another", Buffer.concat([clientFrame(0x2, "", { final: false }), clientFrame(0x2, "x")]), 1002],
    ["text that is not UTF-8", clientFrame(0x1, Buffer.from([0xff, 0xfe])), 1007],
    ["text that ends within a character", clientFrame(0x1, Buffer.from([0xc3])), 1007],
    ["a close code of one byte", clientFrame(0x8, "x"), 1002],
    ["a close code that is only for programs", clientFrame(0x8, Buffer.from([0x03, 0xee])), 1002],
    ["a length of 2^63", Buffer.from([0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]), 1002],
  ])("%s", (_, bytes, code) => {
    try {
      parse(bytes);
      expect.unreachable();
    } catch (error) {
      expect((error as FrameError).closeCode).toBe(code);
    }
  });
});

test("lengths of the server's frames take two, four and ten bytes", () => {
  expect(encodeFrame("binary", Buffer.alloc(125)).length).toBe(127);
  expect(encodeFrame("binary", Buffer.alloc(126)).length).toBe(130);
  expect(encodeFrame("text", Buffer.alloc(65_536)).length).toBe(65_546);
});

test("random bytes end in data or in a close code, never in anything else", () => {
  // A small generator of its own, so that a failure can be had again.
  let seed = 1;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed % below;
  };
  for (let round = 0; round < 3000; round++) {
    const bytes = Uint8Array.from({ length: random(200) }, () => random(256));
    // Half of them begin as a frame may.
    if (round % 2 === 0 && bytes.length > 1) {
      bytes[0] = 0x80 | ([0, 1, 2, 8, 9, 10][random(6)] ?? 0);
      bytes[1] = 0x80 | random(128);
    }
    try {
      parse(bytes, 1 + random(20));
    } catch (error) {
      expect([1002, 1007]).toContain((error as FrameError).closeCode);
    }
  }
});
