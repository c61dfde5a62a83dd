import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  closeFd,
  copyFileRange,
  fdPath,
  flock,
  lgetxattr,
  link,
  llistxattr,
  lremovexattr,
  lsetxattr,
  lstatNs,
  lutimes,
  mkdirInRoot,
  mkfifo,
  mknod,
  O,
  openInRoot,
  readXattrs,
  resolveInRoot,
  syncfs,
  walkDirectory,
} from "./index.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "slipway-files-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe("stat and times", () => {
  test("agrees with node:fs on everything", () => {
    const path = join(dir, "file");
    writeFileSync(path, "hello");
    chmodSync(path, 0o4751);
    linkSync(path, join(dir, "other"));
    const [ours, theirs] = [lstatNs(path), lstatSync(path, { bigint: true })];
    expect(ours).toMatchObject({ kind: "file", mode: 0o4751, size: 5, nlink: 2, uid: 0, gid: 0 });
    expect(ours?.mtime).toBe(theirs.mtimeNs);
    expect(ours?.ctime).toBe(theirs.ctimeNs);
    expect(ours?.ino).toBe(theirs.ino);
    expect(BigInt(ours?.dev ?? 0)).toBe(theirs.dev);
  });

  test("keeps nanoseconds, also before 1970 and after 2038, and does not follow links", () => {
    const [path, symlink] = [join(dir, "f"), join(dir, "l")];
    writeFileSync(path, "");
    symlinkSync("f", symlink);
    for (const time of [1_234_567_890_123_456_789n, -1n, 4_000_000_000_000_000_001n]) {
      lutimes(symlink, 0n, time);
      expect(lstatNs(symlink)?.mtime).toBe(time);
    }
    const before = lstatNs(path)?.mtime;
    lutimes(path, 5n, null);
    expect(lstatNs(path)?.mtime).toBe(before ?? 0n);
  });

  test("what is not there is undefined", () => {
    expect(lstatNs(join(dir, "no"))).toBeUndefined();
    expect(() => lstatNs("x".repeat(5000))).toThrow("ENAMETOOLONG");
  });

  test("makes devices and FIFOs whatever the umask", () => {
    const old = process.umask(0o077);
    mknod(join(dir, "null"), 0o020000 | 0o666, 1, 3);
    mknod(join(dir, "big"), 0o060000 | 0o600, 259, 300000);
    mkfifo(join(dir, "fifo"), 0o622);
    process.umask(old);
    expect(lstatNs(join(dir, "null"))).toMatchObject({ kind: "char", mode: 0o666, major: 1, minor: 3 });
    expect(lstatNs(join(dir, "big"))).toMatchObject({ kind: "block", major: 259, minor: 300000 });
    expect(lstatNs(join(dir, "fifo"))).toMatchObject({ kind: "fifo", mode: 0o622 });
  });
});

describe("extended attributes", () => {
  test("are set, listed, read and removed", () => {
    const path = join(dir, "f");
    writeFileSync(path, "");
    const value = new Uint8Array([1, 0, 255]);
    lsetxattr(path, "user.a", value);
    lsetxattr(path, "user.empty", new Uint8Array());
    lsetxattr(path, "trusted.long", new Uint8Array(2000).fill(7));
    expect(llistxattr(path).sort()).toEqual(["trusted.long", "user.a", "user.empty"]);
    expect(lgetxattr(path, "user.a")).toEqual(value);
    expect(readXattrs(path).get("trusted.long")?.length).toBe(2000);
    expect(readXattrs(path).get("user.empty")).toEqual(new Uint8Array());
    lremovexattr(path, "user.a");
    expect(lgetxattr(path, "user.a")).toBeUndefined();
    expect(() => lremovexattr(path, "user.a")).toThrow("ENODATA");
  });

  test("of a link are the link's own", () => {
    symlinkSync("/etc/passwd", join(dir, "l"));
    lsetxattr(join(dir, "l"), "trusted.x", new Uint8Array([1]));
    expect(lgetxattr(join(dir, "l"), "trusted.x")).toEqual(new Uint8Array([1]));
    expect(llistxattr("/etc/passwd")).not.toContain("trusted.x");
  });

  test("do not exist where the file system has none", () => {
    expect(llistxattr("/proc/self/status")).toEqual([]);
    expect(lgetxattr("/proc/self/status", "user.a")).toBeUndefined();
  });
});

describe("paths inside a root", () => {
  test("links and dots stay inside", () => {
    mkdirSync(join(dir, "etc"));
    writeFileSync(join(dir, "etc/passwd"), "ours");
    symlinkSync("/etc/passwd", join(dir, "absolute"));
    symlinkSync("../../../../../etc/passwd", join(dir, "etc/upwards"));
    for (const path of ["absolute", "/etc/upwards", "../../etc/passwd", "/etc/../../etc/passwd"]) {
      const fd = openInRoot(dir, path, O.RDONLY);
      expect(readFileSync(fd, "utf8")).toBe("ours");
      closeFd(fd);
      expect(resolveInRoot(dir, path)).toBe(join(dir, "etc/passwd"));
    }
    expect(() => resolveInRoot(dir, "nothing/here")).toThrow("ENOENT");
  });

  test("files and directories are made inside, also through links", () => {
    mkdirSync(join(dir, "real"));
    symlinkSync("/real", join(dir, "alias"));
    const directory = mkdirInRoot(dir, "alias/../alias/a/b", 0o700);
    writeFileSync(fdPath(directory, "file"), "x");
    closeFd(directory);
    expect(readFileSync(join(dir, "real/a/b/file"), "utf8")).toBe("x");
    const fd = openInRoot(dir, "alias/new", O.WRONLY | O.CREAT | O.EXCL, 0o640);
    closeFd(fd);
    expect(lstatNs(join(dir, "real/new"))?.mode).toBe(0o640);
  });

  test("magic links of proc are refused", () => {
    expect(() => openInRoot("/proc", "self/root/etc/passwd", O.RDONLY)).toThrow("ELOOP");
  });
});

describe("walking", () => {
  function names(prune?: string): string[] {
    const found: string[] = [];
    walkDirectory(dir, (entry) => {
      found.push(`${entry.kind} ${entry.path}`);
      return entry.name === prune ? "skip" : undefined;
    });
    return found.sort();
  }

  test("visits everything once, prunes what is skipped, follows no link", () => {
    mkdirSync(join(dir, "a/b/c"), { recursive: true });
    writeFileSync(join(dir, "a/b/naïve-文"), "123");
    symlinkSync("a", join(dir, "link"));
    mkfifo(join(dir, "a/pipe"), 0o600);
    const all = ["dir a", "dir a/b", "dir a/b/c", "fifo a/pipe", "file a/b/naïve-文", "symlink link"];
    expect(names()).toEqual(all.sort());
    expect(names("b")).toEqual(["dir a", "dir a/b", "fifo a/pipe", "symlink link"]);
  });

  test("gives what lstat gives", () => {
    for (const length of [1, 2, 4, 5, 6, 12, 13, 14, 100, 255])
      writeFileSync(join(dir, "n".repeat(length)), "x".repeat(length));
    let count = 0;
    walkDirectory(dir, (entry) => {
      expect(entry.stat()).toBe(true);
      const theirs = lstatSync(join(dir, entry.path), { bigint: true });
      expect(entry.size).toBe(Number(theirs.size));
      expect(entry.ino).toBe(Number(theirs.ino));
      expect(BigInt(entry.mtimeSeconds) * 1_000_000_000n + BigInt(entry.mtimeNanoseconds)).toBe(theirs.mtimeNs);
      expect(entry.full()).toEqual(lstatNs(join(dir, entry.path)) ?? expect.anything());
      count++;
    });
    expect(count).toBe(10);
  });

  test("a large directory needs several reads", () => {
    for (let index = 0; index < 3000; index++) writeFileSync(join(dir, `some-longer-file-name-${index}`), "");
    expect(names().length).toBe(3000);
    expect(readdirSync(dir).length).toBe(3000);
  });

  test("a missing root is an error, a name that is not UTF-8 too", () => {
    expect(() => walkDirectory(join(dir, "no"), () => {})).toThrow(
      `ENOENT: no such file or directory, open '${dir}/no'`,
    );
    writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0x66, 0xff])]), "");
    expect(() => names()).toThrow("not valid UTF-8");
  });
});

describe("other file calls", () => {
  test("a lock keeps others out until it is closed", () => {
    const path = join(dir, "lock");
    const [one, two] = [openSync(path, "w"), openSync(path, "w")];
    expect(flock(one)).toBe(true);
    expect(flock(two)).toBe(false);
    syncfs(one);
    closeSync(one);
    expect(flock(two, { shared: true })).toBe(true);
    closeSync(two);
  });

  test("copies between descriptors and links a link", () => {
    writeFileSync(join(dir, "from"), "0123456789");
    const [from, to] = [openSync(join(dir, "from"), "r"), openSync(join(dir, "to"), "w")];
    expect(copyFileRange(from, to, 4)).toBe(4);
    expect(copyFileRange(from, to, 100)).toBe(6);
    expect(copyFileRange(from, to, 100)).toBe(0);
    closeSync(from);
    closeSync(to);
    expect(readFileSync(join(dir, "to"), "utf8")).toBe("0123456789");
    symlinkSync("nowhere", join(dir, "s"));
    link(join(dir, "s"), join(dir, "t"));
    expect(lstatNs(join(dir, "t"))).toMatchObject({ kind: "symlink", nlink: 2 });
  });
});
