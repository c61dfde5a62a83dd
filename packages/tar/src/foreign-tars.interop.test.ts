import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { END_OF_ARCHIVE, encodeTarHeader, padding, readTar, type TarHeader } from "./index.ts";

let dir = "";
const big = Buffer.alloc(100_000, "sparse!");
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "slipway-tar-"));
  const tree = join(dir, "tree");
  mkdirSync(join(tree, "sub", "ünïcode"), { recursive: true });
  writeFileSync(join(tree, "sub/hello"), "hello\n", { mode: 0o640 });
  utimesSync(join(tree, "sub/hello"), 1_700_000_000.25, 1_700_000_000.25);
  mkdirSync(join(tree, "d".repeat(90), "e".repeat(90)), { recursive: true });
  writeFileSync(join(tree, "d".repeat(90), "e".repeat(90), "long"), "x");
  symlinkSync("t".repeat(150), join(tree, "link"));
  writeFileSync(join(tree, "sub/ünïcode/文"), "");
  run(["ln", join(tree, "sub/hello"), join(tree, "sub/hard")]);
  run(["mkfifo", join(tree, "pipe")]);
  run(["mknod", join(tree, "null"), "c", "1", "3"]);
  const fd = openSync(join(tree, "holes"), "w");
  for (let piece = 0; piece < 60; piece++) writeSync(fd, big, 0, 10_000, piece * 1_000_000);
  closeSync(fd);
  truncateSync(join(tree, "holes"), 70_000_000);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function run(command: string[], input?: Uint8Array): Buffer {
  const done = Bun.spawnSync(command, {
    stdin: input ?? "ignore",
    env: { ...process.env, LC_ALL: "C.UTF-8", TZ: "UTC" },
  });
  if (!done.success) throw new Error(`${command.join(" ")}: ${done.stderr.toString()}`);
  return done.stdout;
}

async function read(path: string): Promise<Map<string, { header: TarHeader; digest: string }>> {
  const found = new Map<string, { header: TarHeader; digest: string }>();
  for await (const { header, content } of readTar(Bun.file(path).stream())) {
    const hash = new Bun.SHA256();
    for await (const chunk of content) hash.update(chunk);
    found.set(header.name, { header, digest: hash.digest("hex") });
  }
  return found;
}

describe("archives of GNU tar are read", () => {
  const formats = [
    ["--format=gnu"],
    ["--format=gnu", "--sparse"],
    ["--format=oldgnu", "--sparse"],
    ["--format=posix"],
    ["--format=posix", "--sparse", "--sparse-version=0.0"],
    ["--format=posix", "--sparse", "--sparse-version=0.1"],
    ["--format=posix", "--sparse", "--sparse-version=1.0"],
  ];
  for (const format of formats) {
    test(format.join(" "), async () => {
      const path = join(dir, "gnu.tar");
      run(["tar", "-C", dir, ...format, "-cf", path, "--sort=name", "tree"]);
      const entries = await read(path);
      const hello = entries.get("tree/sub/hard");
      expect(hello?.header).toMatchObject({ type: "file", mode: 0o640, size: 6, uname: "root" });
      expect(hello?.header.mtime).toBe(
        format.includes("--format=posix") ? 1_700_000_000_250_000_000n : 1_700_000_000_000_000_000n,
      );
      expect(entries.get("tree/sub/hello")?.header).toMatchObject({ type: "link", linkname: "tree/sub/hard", size: 0 });
      expect(entries.get("tree/link")?.header).toMatchObject({ type: "symlink", linkname: "t".repeat(150) });
      expect(entries.get("tree/pipe")?.header.type).toBe("fifo");
      expect(entries.get("tree/null")?.header).toMatchObject({ type: "char", devmajor: 1, devminor: 3 });
      expect(entries.get("tree/sub/ünïcode")?.header.type).toBe("dir");
      expect(entries.has("tree/sub/ünïcode/文")).toBe(true);
      expect(entries.get(`tree/${"d".repeat(90)}/${"e".repeat(90)}/long`)?.header.size).toBe(1);
      const holes = entries.get("tree/holes");
      expect(holes?.header.size).toBe(70_000_000);
      expect(holes?.digest).toBe(Bun.SHA256.hash(readFileSync(join(dir, "tree/holes")), "hex"));
      if (format.includes("--sparse")) expect(statSync(path).size).toBeLessThan(1_000_000);
    });
  }

  test("v7 and ustar", async () => {
    for (const format of ["v7", "ustar"]) {
      const path = join(dir, "old.tar");
      run(["tar", "-C", join(dir, "tree"), `--format=${format}`, "-cf", path, "sub"]);
      expect((await read(path)).get("sub/ünïcode")?.header.type).toBe("dir");
    }
  });
});

function ourArchive(): Uint8Array {
  const content = Buffer.from("content\n");
  const headers: Parameters<typeof encodeTarHeader>[0][] = [
    { name: "d", type: "dir", mode: 0o1777, mtime: 5_000_000_000n },
    {
      name: "d/ä".padEnd(130, "x"),
      type: "file",
      mode: 0o4755,
      size: content.length,
      uid: 3_000_000,
      gid: 7,
      mtime: 1_600_000_000_123_456_789n,
      xattrs: new Map([["user.note", Buffer.from("hi")]]),
    },
    { name: "hard", type: "link", mode: 0o4755, linkname: "d/ä".padEnd(130, "x") },
    { name: "soft", type: "symlink", mode: 0o777, linkname: "z".repeat(120), uname: "käthe" },
    { name: "dev", type: "block", mode: 0o600, devmajor: 259, devminor: 70000 },
    { name: "pipe", type: "fifo", mode: 0o600, mtime: -1_500_000_000n },
  ];
  const parts = headers.flatMap((header) =>
    header.type === "file"
      ? [encodeTarHeader(header), content, new Uint8Array(padding(content.length))]
      : [encodeTarHeader(header)],
  );
  return Buffer.concat([...parts, END_OF_ARCHIVE]);
}

describe("our archives are read", () => {
  test("by GNU tar, which restores everything", () => {
    const out = join(dir, "out");
    mkdirSync(out);
    run(["tar", "-C", out, "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", "-"], ourArchive());
    const file = join(out, "d/ä".padEnd(130, "x"));
    const shown = run(["stat", "-c", "%a %u %g %h %y", file]).toString().trim();
    expect(shown).toBe("4755 3000000 7 2 2020-09-13 12:26:40.123456789 +0000");
    const attribute = "import os,sys; sys.stdout.write(os.getxattr(sys.argv[1], 'user.note').decode())";
    expect(run(["python3", "-c", attribute, file]).toString()).toBe("hi");
    expect(
      run(["stat", "-c", "%F %t %T", join(out, "dev")])
        .toString()
        .trim(),
    ).toBe("block special file 103 11170");
    expect(
      run(["readlink", join(out, "soft")])
        .toString()
        .trim(),
    ).toBe("z".repeat(120));
    expect(
      run(["stat", "-c", "%a %Y", join(out, "d")])
        .toString()
        .trim(),
    ).toBe("1777 5");
    expect(readFileSync(file, "utf8")).toBe("content\n");
  });

  test("by Python's tarfile", () => {
    const script = `
import sys, tarfile, io
for m in tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read())):
    print(m.name[:6], m.type.decode(), oct(m.mode), m.uid, m.size, m.mtime, len(m.linkname), m.uname, m.devmajor, m.devminor, m.pax_headers.get('SCHILY.xattr.user.note'))`;
    const lines = run(["python3", "-c", script], ourArchive()).toString().trim().split("\n");
    expect(lines).toEqual([
      "d 5 0o1777 0 0 5 0  0 0 None",
      "d/äxxx 0 0o4755 3000000 8 1600000000.1234567 0  0 0 hi",
      "hard 1 0o4755 0 0 0 130  0 0 None",
      "soft 2 0o777 0 0 0 120 käthe 0 0 None",
      "dev 4 0o600 0 0 0 0  259 70000 None",
      "pipe 6 0o600 0 0 -1.5 0  0 0 None",
    ]);
  });

  test("and Python's are read by us", async () => {
    const script = `
import tarfile, io, sys
for fmt, name in ((tarfile.PAX_FORMAT, "pax"), (tarfile.GNU_FORMAT, "gnu"), (tarfile.USTAR_FORMAT, "ustar")):
    t = tarfile.open(sys.argv[1] + "/" + name + ".tar", "w", format=fmt)
    i = tarfile.TarInfo("p/" + "q" * 97 + "/file"); i.size = 3; i.mtime = 12.5 if fmt == tarfile.PAX_FORMAT else 12; i.uid = 9000000 if fmt != tarfile.USTAR_FORMAT else 1
    t.addfile(i, io.BytesIO(b"abc")); t.close()`;
    run(["python3", "-c", script, dir]);
    for (const format of ["pax", "gnu", "ustar"]) {
      const entry = (await read(join(dir, `${format}.tar`))).get(`p/${"q".repeat(97)}/file`);
      expect(entry?.digest).toBe(Bun.SHA256.hash("abc", "hex"));
      expect(entry?.header.uid).toBe(format === "ustar" ? 1 : 9_000_000);
      expect(entry?.header.mtime).toBe(format === "pax" ? 12_500_000_000n : 12_000_000_000n);
    }
  });
});
