import { describe, expect, test } from "bun:test";
import {
  END_OF_ARCHIVE,
  encodeTarHeader,
  padding,
  readTar,
  type TarHeader,
  type TarHeaderInput,
  TarParser,
} from "./index.ts";

interface Entry {
  readonly header: TarHeader;
  readonly content: string;
}

const defaults: TarHeader = {
  name: "f",
  type: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  uname: "",
  gname: "",
  size: 0,
  mtime: 0n,
  linkname: "",
  devmajor: 0,
  devminor: 0,
  xattrs: new Map(),
};

function encode(entries: readonly { header: TarHeaderInput; content?: Uint8Array }[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { header, content = new Uint8Array() } of entries) {
    parts.push(encodeTarHeader({ ...header, size: content.length }), content, new Uint8Array(padding(content.length)));
  }
  return Buffer.concat([...parts, END_OF_ARCHIVE]);
}

function parse(chunks: readonly Uint8Array[]): Entry[] {
  const entries: Entry[] = [];
  let header: TarHeader | undefined;
  let content: Uint8Array[] = [];
  const parser = new TarParser({
    entry: (each) => {
      header = each;
      content = [];
    },
    data: (chunk) => content.push(chunk),
    entryEnd: () => {
      if (header !== undefined) entries.push({ header, content: Buffer.concat(content).toString("latin1") });
    },
  });
  for (const chunk of chunks) parser.push(chunk);
  parser.end();
  return entries;
}

/** Small and repeatable: the same seed gives the same archive. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomEntry(next: (below: number) => number): { header: TarHeaderInput; content: Uint8Array } {
  const types = ["file", "file", "dir", "symlink", "link", "char", "block", "fifo"] as const;
  const type = types[next(types.length)] ?? "file";
  const name = `${["a", "dir/", "ümlaut/", "x".repeat(98), "long/".repeat(40), "文"][next(6)]}${next(1000)}`;
  const content =
    type === "file" ? Buffer.alloc([0, 1, 511, 512, 513, 5000][next(6)] ?? 0, next(256)) : new Uint8Array();
  const isLink = type === "link" || type === "symlink";
  const isDevice = type === "char" || type === "block";
  return {
    header: {
      ...defaults,
      name,
      type,
      mode: next(0o10000),
      uid: [0, 1000, 2_097_151, 2_097_152, 4_294_967_295][next(5)] ?? 0,
      gid: [0, 1000, 2_097_152][next(3)] ?? 0,
      uname: ["", "root", "käthe", "u".repeat(40)][next(4)] ?? "",
      size: content.length,
      mtime:
        [0n, 1_700_000_000_000_000_000n, 1_700_000_000_123_456_789n, -1n, -5_500_000_000n, 9_999_999_999_000_000_000n][
          next(6)
        ] ?? 0n,
      linkname: isLink ? (["t", "../up", "l".repeat(150), "ß"][next(4)] ?? "") : "",
      devmajor: isDevice ? next(4096) : 0,
      devminor: isDevice ? next(1048576) : 0,
      xattrs:
        next(4) === 0
          ? new Map([
              ["security.capability", new Uint8Array([1, 0, 0, 2, 10, 61])],
              ["user.x", new Uint8Array()],
            ])
          : new Map(),
    },
    content,
  };
}

describe("what is written is read", () => {
  test("for 300 random archives, in chunks of random sizes", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const next = random(seed);
      const entries = Array.from({ length: 1 + next(6) }, () => randomEntry(next));
      const archive = encode(entries);
      const chunks: Uint8Array[] = [];
      const largest = [1, 3, 100, 512, 2000][next(5)] ?? 1;
      for (let at = 0; at < archive.length; ) {
        const step = 1 + next(largest);
        chunks.push(archive.subarray(at, at + step));
        at += step;
      }
      const expected = entries.map(({ header, content }) => ({
        header,
        content: Buffer.from(content).toString("latin1"),
      }));
      expect(parse(chunks)).toEqual(expected as Entry[]);
      expect(parse([archive])).toEqual(expected as Entry[]);
    }
  });

  test("the bytes of an archive never change", () => {
    const header: TarHeaderInput = {
      ...defaults,
      name: "etc/файл",
      mode: 0o4755,
      uid: 3_000_000,
      mtime: 1_700_000_000_120_000_000n,
      xattrs: new Map([
        ["user.b", new Uint8Array([10])],
        ["user.a", new Uint8Array([0])],
      ]),
    };
    const bytes = encodeTarHeader(header);
    const body = Buffer.from(bytes.subarray(512, 1024)).toString().replace(/\0+$/, "");
    expect(body).toBe(
      "25 SCHILY.xattr.user.a=\0\n25 SCHILY.xattr.user.b=\n\n23 mtime=1700000000.12\n21 path=etc/файл\n15 uid=3000000\n",
    );
    expect(Bun.SHA256.hash(bytes, "hex")).toBe(Bun.SHA256.hash(encodeTarHeader({ ...header }), "hex"));
    expect(bytes.length).toBe(1536);
  });

  test("lengths of records that count their own digits are right around every power of ten", () => {
    for (const length of [...Array(20).keys()]
      .map((each) => each + 85)
      .concat([...Array(20).keys()].map((each) => each + 985))) {
      const name = "n".repeat(length);
      const [entry] = parse([encode([{ header: { ...defaults, name: `${name}é` } }])]);
      expect(entry?.header.name).toBe(`${name}é`);
    }
  });

  test("what tar cannot say is refused", () => {
    expect(() => encodeTarHeader({ ...defaults, name: "a\0b" })).toThrow("NUL");
    expect(() => encodeTarHeader({ ...defaults, xattrs: new Map([["user.a=b", new Uint8Array()]]) })).toThrow(
      "user.a=b",
    );
  });
});

describe("the asynchronous reader", () => {
  const archive = encode([
    { header: { ...defaults, name: "a" }, content: Buffer.alloc(3000, "a") },
    { header: { ...defaults, name: "b" }, content: Buffer.alloc(10, "b") },
    { header: { ...defaults, name: "c", type: "dir" } },
  ]);
  async function* chunked(size: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < archive.length; at += size) yield archive.subarray(at, at + size);
  }

  test("gives entries and contents, and skips what is not read", async () => {
    for (const size of [7, 512, 100_000]) {
      const seen: string[] = [];
      for await (const { header, content } of readTar(chunked(size))) {
        let bytes = 0;
        if (header.name !== "a") for await (const chunk of content) bytes += chunk.length;
        seen.push(`${header.name} ${bytes}`);
      }
      expect(seen).toEqual(["a 0", "b 10", "c 0"]);
    }
  });

  test("a content left half read does not disturb the next entry, nor is it read late", async () => {
    let first: AsyncIterable<Uint8Array> | undefined;
    const names: string[] = [];
    for await (const { header, content } of readTar(chunked(600))) {
      names.push(header.name);
      if (first === undefined) {
        first = content;
        for await (const _ of content) break;
      } else {
        for await (const _ of first) throw new Error("late data");
      }
    }
    expect(names).toEqual(["a", "b", "c"]);
  });

  test("stopping early ends the stream", async () => {
    let cancelled = false;
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(archive.subarray(0, 512)),
      cancel: () => {
        cancelled = true;
      },
    });
    for await (const _ of readTar(stream)) break;
    expect(cancelled).toBe(true);
  });

  test("a failing stream fails the reader, a short one is told", async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield archive.subarray(0, 700);
      throw new Error("wire cut");
    }
    const all = async (stream: AsyncIterable<Uint8Array>): Promise<void> => {
      for await (const _ of readTar(stream));
    };
    await expect(all(broken())).rejects.toThrow("wire cut");
    async function* short(): AsyncGenerator<Uint8Array> {
      yield archive.subarray(0, 700);
    }
    await expect(all(short())).rejects.toThrow(
      'byte 700: unexpected end of the archive, 2812 bytes before the end of "a"',
    );
  });
});
