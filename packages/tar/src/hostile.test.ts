import { describe, expect, test } from "bun:test";
import { END_OF_ARCHIVE, encodeTarHeader, type TarHeader, TarParser } from "./index.ts";
import type { TarLimits } from "./limits.ts";

function parse(archive: Uint8Array, limits: Partial<TarLimits> = {}): TarHeader[] {
  const headers: TarHeader[] = [];
  const parser = new TarParser(
    { entry: (header) => headers.push(header), data() {}, hole() {}, entryEnd() {} },
    limits,
  );
  parser.push(archive);
  parser.end();
  return headers;
}

/** A header block with fields written over it and a checksum that is right again. */
function block(fields: Record<number, string | Uint8Array>, type = "0"): Uint8Array {
  const bytes = Buffer.from(encodeTarHeader({ name: "f", type: "file", mode: 0o644 }));
  bytes.write(type, 156);
  for (const [at, value] of Object.entries(fields))
    bytes.set(typeof value === "string" ? Buffer.from(value, "latin1") : value, Number(at));
  bytes.fill(0x20, 148, 156);
  bytes.write(
    `${bytes
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
  );
  return bytes;
}

function octal(value: number): string {
  return value.toString(8).padStart(11, "0");
}

function pax(body: string | Uint8Array, type = "x"): Uint8Array {
  const bytes = Buffer.from(body as string);
  return Buffer.concat([
    block({ 124: octal(bytes.length) }, type),
    bytes,
    Buffer.alloc((512 - (bytes.length % 512)) % 512),
  ]);
}

function record(key: string, value: string): string {
  let length = key.length + Buffer.byteLength(value) + 3;
  length += String(length + String(length).length).length;
  return `${length} ${key}=${value}\n`;
}

describe("a bad archive is refused, with the byte and the reason", () => {
  const file = block({});
  const cases: readonly [name: string, archive: Uint8Array, message: string | RegExp][] = [
    [
      "a wrong checksum",
      Buffer.concat([file, Buffer.from(file).fill("9", 100, 103)]),
      /byte 512: this is no tar header: its checksum is \d+, it states \d+/,
    ],
    ["something else altogether", Buffer.alloc(2048, "text "), "byte 0: this is no tar header"],
    ["a cut header", file.subarray(0, 300), "byte 300: unexpected end"],
    ["cut content", block({ 124: octal(1000) }), 'unexpected end of the archive, 1000 bytes before the end of "f"'],
    ["a negative size", block({ 124: new Uint8Array(12).fill(255) }), "negative size -1"],
    ["a size beyond all numbers", block({ 124: new Uint8Array(12).fill(127, 1).fill(0x80, 0, 1) }), "malformed size"],
    ["a size that is no number", block({ 124: "12z45678901" }), "malformed size"],
    ["an unknown type", block({}, "Q"), 'entry of unknown type "Q"'],
    ["a continued entry", block({}, "M"), "multi-volume"],
    ["no name", block({ 0: new Uint8Array(100) }), "entry without a name"],
    ["a name that is not UTF-8", block({ 0: new Uint8Array([0xff, 0xfe]) }), "name is not valid UTF-8"],
    [
      "an entry after the end mark",
      Buffer.concat([new Uint8Array(512), file]),
      "byte 512: an entry after the end mark",
    ],
    ["a huge PAX header", block({ 124: octal(1 << 30) }, "x"), "a header of 1073741824 bytes is too large"],
    ["a huge long name", block({ 124: octal(1 << 22) }, "L"), "too large"],
    ["a PAX record that is too long", pax("99 path=x\n"), "malformed PAX record"],
    ["a PAX record of length 0", pax("0 path=x\n"), "malformed PAX record"],
    ["a PAX record without a length", pax(" path=x\n"), "malformed PAX record"],
    ["a PAX record without a line end", pax("9 path=xx"), "malformed PAX record"],
    ["a PAX record with a length of many digits", pax("00000000000000000009 path=x\n"), "malformed PAX record"],
    ["a PAX record without a key", pax("5 =x\n"), "without a key"],
    ["a PAX record without =", pax("7 path\n"), "without a key"],
    ["a PAX path with NUL", Buffer.concat([pax(record("path", "a\0b")), file]), "NUL byte"],
    ["a negative PAX size", Buffer.concat([pax(record("size", "-1")), file]), "malformed PAX size"],
    ["a PAX size that is no number", Buffer.concat([pax(record("size", "1e9")), file]), "malformed PAX size"],
    ["a PAX time that is no number", Buffer.concat([pax(record("mtime", "today")), file]), "malformed PAX mtime"],
    ["an owner out of range", Buffer.concat([pax(record("uid", "4294967296")), file]), "out of range"],
    [
      "a path that no kernel takes",
      Buffer.concat([pax(record("path", "x".repeat(5000))), file]),
      "longer than any path",
    ],
    ["a sparse map that goes backwards", sparse("9,1,0,1", 10, 2), "out of order"],
    ["a sparse map that leaves the file", sparse("0,1,9,2", 10, 3), "out of order or out of the file"],
    ["a sparse map that names too much", sparse("0,5", 10, 3), "names 5 bytes, the archive holds 3"],
    ["a sparse map with an odd count", sparse("0,5,7", 10, 5), "odd number"],
    ["a sparse bomb", sparse("0,1", 2 ** 50, 1), "a sparse file of 1125899906842624 bytes is too large"],
  ];
  function sparse(map: string, real: number, stored: number): Uint8Array {
    return Buffer.concat([
      pax(record("GNU.sparse.size", String(real)) + record("GNU.sparse.map", map)),
      block({ 124: octal(stored) }),
      new Uint8Array(512),
    ]);
  }
  for (const [name, archive, message] of cases) {
    test(name, () => {
      expect(() => parse(archive)).toThrow(message);
      expect(() => {
        const parser = new TarParser({ entry() {}, data() {}, hole() {}, entryEnd() {} });
        for (const byte of archive) parser.push(new Uint8Array([byte]));
        parser.end();
      }).toThrow(message);
    });
  }

  test("limits on attributes, entries and sizes", () => {
    const many = Array.from({ length: 300 }, (_, index) => record(`SCHILY.xattr.user.${index}`, "")).join("");
    expect(() => parse(Buffer.concat([pax(many), file]))).toThrow("more than 256 extended attributes");
    expect(() => parse(Buffer.concat([file, file, file]), { maxEntries: 2 })).toThrow("byte 1024: more than 2 entries");
    expect(() => parse(block({ 124: octal(1000) }), { maxEntrySize: 999 })).toThrow(
      '"f" of 1000 bytes is too large (limit 999)',
    );
    const global = pax(record("comment", "x".repeat(600_000)), "g");
    expect(() => parse(Buffer.concat([global, pax(record("other", "x".repeat(600_000)), "g"), file]))).toThrow(
      "too large",
    );
  });

  test("10,000 mutated archives either parse or are refused as corrupt, and never anything else", () => {
    const good = Buffer.concat([
      encodeTarHeader({
        name: "ä",
        type: "file",
        mode: 0o644,
        size: 3,
        mtime: 1n,
        xattrs: new Map([["user.a", new Uint8Array([1])]]),
      }),
      Buffer.from("abc".padEnd(512, "\0")),
      encodeTarHeader({ name: "d", type: "dir", mode: 0o755 }),
      END_OF_ARCHIVE,
    ]);
    let state = 42;
    const next = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let round = 0; round < 10_000; round++) {
      const bad = Buffer.from(good);
      for (let count = 1 + next(3); count > 0; count--) bad[512 + next(100)] = 0x20 + next(90);
      try {
        parse(bad);
      } catch (error) {
        expect(error).toMatchObject({ code: "corrupt" });
      }
    }
  });
});

describe("an odd archive is read", () => {
  test("of Unix V7, where a slash makes a directory", () => {
    const bytes = Buffer.from(block({ 0: "old/", 257: new Uint8Array(255) }, "\0"));
    expect(parse(bytes)).toMatchObject([{ name: "old", type: "dir", mode: 0o644 }]);
  });

  test("with a ustar prefix, base-256 numbers, signed checksums", () => {
    expect(parse(block({ 345: "some/prefix" }))[0]?.name).toBe("some/prefix/f");
    expect(parse(block({ 108: new Uint8Array([0x80, 0, 0, 0, 0xff, 0, 0, 1]) }))[0]?.uid).toBe(0xff000001);
    expect(parse(block({ 136: new Uint8Array(12).fill(255) }))[0]?.mtime).toBe(-1_000_000_000n);
    const signed = Buffer.from(block({ 0: Buffer.from("ü") }));
    const sum = signed.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : (byte << 24) >> 24), 0);
    signed.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    expect(parse(signed)[0]?.name).toBe("ü");
  });

  test("with global records, which local ones overrule and empty ones take back", () => {
    const archive = Buffer.concat([
      pax(record("gname", "everyone") + record("mtime", "7.5"), "g"),
      block({ 297: "own" }),
      pax(record("gname", "mine")),
      block({}),
      pax(record("gname", ""), "g"),
      block({ 297: "own" }),
    ]);
    const headers = parse(archive);
    expect(headers.map((each) => each.gname)).toEqual(["everyone", "mine", "own"]);
    expect(headers.map((each) => each.mtime)).toEqual(Array(3).fill(7_500_000_000n));
  });

  test("with a volume label, without an end mark, with rubbish after it", () => {
    expect(parse(Buffer.concat([block({}, "V"), block({})])).length).toBe(1);
    expect(parse(Buffer.concat([block({}), END_OF_ARCHIVE, Buffer.alloc(3000, "rubbish")])).length).toBe(1);
    expect(parse(new Uint8Array()).length).toBe(0);
  });

  test("where a directory or a link states a size that is not there", () => {
    expect(
      parse(Buffer.concat([block({ 124: octal(4096) }, "5"), block({ 124: octal(9), 157: "t" }, "2"), block({})])),
    ).toMatchObject([{ type: "dir", size: 0 }, { type: "symlink", size: 0, linkname: "t" }, { type: "file" }]);
  });
});
