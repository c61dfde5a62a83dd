import { describe, expect, test } from "bun:test";
import { humanDuration, parseDuration } from "./duration.ts";
import { harmlessPattern } from "./harmless-pattern.ts";
import { nearest } from "./nearest.ts";
import { binarySize, humanSize, parseSize } from "./size.ts";

describe("sizes", () => {
  test.each([
    ["512", 512],
    ["64m", 64 * 1024 ** 2],
    ["64M", 64 * 1024 ** 2],
    ["1.5g", 1.5 * 1024 ** 3],
    ["10kb", 10240],
    ["2GiB", 2 * 1024 ** 3],
    ["7b", 7],
  ])("%s is %d bytes", (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test.each(["", "m", "-1m", "1x", "1mm", "0x10", "1e3"])("'%s' is refused", (text) => {
    expect(() => parseSize(text)).toThrow(`invalid size: '${text}'`);
  });

  test.each([
    [0, "0B"],
    [999, "999B"],
    [1000, "1kB"],
    [4_260_000, "4.26MB"],
    [123_456_789, "123MB"],
    [1e9, "1GB"],
  ])("%d bytes are shown as %s", (bytes, text) => expect(humanSize(bytes)).toBe(text));

  test("binary sizes have four digits", () => {
    expect(binarySize(64 * 1024 ** 2)).toBe("64MiB");
    expect(binarySize(1_234_567)).toBe("1.177MiB");
  });
});

describe("durations", () => {
  test.each([
    ["0", 0],
    ["30s", 30e9],
    ["1h30m", 5400e9],
    ["1.5s", 1.5e9],
    ["-250ms", -250e6],
    [".5s", 0.5e9],
    ["100ns", 100],
    ["3us", 3000],
  ])("%s is %d ns", (text, nanoseconds) => expect(parseDuration(text)).toBe(nanoseconds));

  test.each(["", "5", "s", "1d", "1s2", "1 s", "abc"])("'%s' is refused", (text) => {
    expect(() => parseDuration(text)).toThrow(`invalid duration: '${text}'`);
  });

  test.each([
    [500, "Less than a second"],
    [1000, "1 second"],
    [59_000, "59 seconds"],
    [60_000, "About a minute"],
    [3 * 60_000, "3 minutes"],
    [3_600_000, "About an hour"],
    [30 * 3_600_000, "30 hours"],
    [3 * 24 * 3_600_000, "3 days"],
    [21 * 24 * 3_600_000, "3 weeks"],
    [90 * 24 * 3_600_000, "3 months"],
    [800 * 24 * 3_600_000, "2 years"],
  ])("an age of %d ms is shown as %s", (age, text) => expect(humanDuration(age)).toBe(text));
});

describe("the nearest word", () => {
  test.each([
    ["bulid", "build"],
    ["imges", "images"],
    ["stpo", "stop"],
    ["RUNN", "run"],
  ])("%s means %s", (word, meant) => expect(nearest(word, ["build", "images", "stop", "run"])).toBe(meant));

  test("is nothing when all are far", () => expect(nearest("xyzzy", ["build", "run"])).toBeUndefined());
});

test.each([["(a+)+$"], ["(a|a)*b"], ["a*a*a*a*b"], [`${"a?".repeat(30)}`], ["(a)\\1"], ["("]])(
  "the pattern %s, which is none or may take for ever, is not used",
  (pattern) => {
    expect(harmlessPattern(pattern)).toBeUndefined();
  },
);

test("patterns as people write them are", () => {
  expect(harmlessPattern("^com\\.example\\.[a-z]+$")?.test("com.example.name")).toBe(true);
});
