import { expect, test } from "bun:test";
import { FrameReader } from "../client/frames.ts";
import { goTime, rfc3339Nano } from "./go-time.ts";
import { portsText } from "./ports.ts";
import { alignColumns } from "./tab-writer.ts";
import { ellipsis, familiarName, goQuote, splitReference, truncateId } from "./text.ts";

test("columns are as wide as their widest cell and never narrower than ten", () => {
  expect(alignColumns("A\tBB\tC\nlong cell here\tx\ty\n")).toBe(
    "A                BB        C\nlong cell here   x         y\n",
  );
});

test("a line without a column ends it", () => {
  expect(alignColumns("aaaaaaaaaaaa\tb\nplain\nc\td\n")).toBe("aaaaaaaaaaaa   b\nplain\nc         d\n");
});

test("characters count, not bytes", () => {
  expect(alignColumns("ünïcödé☃☃☃\tx\nabc\ty\n")).toBe("ünïcödé☃☃☃   x\nabc          y\n");
});

test("neighbouring ports are shown as a range", () => {
  const port = (PrivatePort: number, PublicPort?: number, IP?: string) => ({
    PrivatePort,
    Type: "tcp",
    ...(PublicPort === undefined ? {} : { PublicPort }),
    ...(IP === undefined ? {} : { IP }),
  });
  expect(portsText([port(80), port(81), port(90)])).toBe("80-81/tcp, 90/tcp");
  expect(portsText([port(80, 80, "0.0.0.0"), port(81, 81, "0.0.0.0")])).toBe("0.0.0.0:80-81->80-81/tcp");
  expect(portsText([port(80, 8080, "::")])).toBe("[::]:8080->80/tcp");
  expect(portsText([])).toBe("");
});

test("names, IDs and texts are shortened as Docker shortens them", () => {
  expect(truncateId(`sha256:${"a".repeat(64)}`)).toBe("a".repeat(12));
  expect(ellipsis("abcdef", 4)).toBe("abc…");
  expect(ellipsis("abcd", 4)).toBe("abcd");
  expect(familiarName("docker.io/library/nginx")).toBe("nginx");
  expect(familiarName("docker.io/a/b")).toBe("a/b");
  expect(splitReference("host:5000/a/b")).toEqual({ repository: "host:5000/a/b" });
  expect(splitReference("host:5000/a/b:c@sha256:d")).toEqual({
    repository: "host:5000/a/b",
    tag: "c",
    digest: "sha256:d",
  });
  expect(goQuote('a"b\\c\n\x01☃')).toBe('"a\\"b\\\\c\\n\\x01☃"');
});

test("times are written as Go writes them", () => {
  expect(goTime(1136214245)).toBe("2006-01-02 15:04:05 +0000 UTC");
  expect(rfc3339Nano(1136214245000000007n)).toBe("2006-01-02T15:04:05.000000007Z");
});

test("frames are taken apart however they are cut", () => {
  const frame = (stream: number, text: string) => {
    const data = Buffer.from(text);
    const header = Buffer.alloc(8);
    header[0] = stream;
    header.writeUInt32BE(data.length, 4);
    return Buffer.concat([header, data]);
  };
  const bytes = Buffer.concat([frame(1, "hello "), frame(2, "err"), frame(1, ""), frame(1, "world")]);
  for (let size = 1; size <= bytes.length; size++) {
    const reader = new FrameReader();
    const out = { stdout: "", stderr: "" };
    for (let at = 0; at < bytes.length; at += size) {
      for (const { stream, data } of reader.push(bytes.subarray(at, at + size)))
        out[stream] += Buffer.from(data).toString();
    }
    expect(out).toEqual({ stdout: "hello world", stderr: "err" });
  }
  expect(() => [...new FrameReader().push(frame(9, "x"))]).toThrow("unrecognized stream: 9");
});
