import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  chmodAt,
  chownAt,
  closeFd,
  fstatNs,
  linkAt,
  lstatAt,
  lstatNs,
  mkdirAt,
  mknodAt,
  NETLINK_ROUTE,
  NetlinkSocket,
  O,
  openAt,
  openPath,
  readlinkAt,
  renameAt,
  statBatch,
  symlinkAt,
  unlinkAt,
  utimesAt,
} from "./index.ts";

let dir = "";
let fd = -1;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "slipway-at-"));
  fd = openPath(dir, O.DIRECTORY);
});
afterEach(() => {
  closeFd(fd);
  rmSync(dir, { recursive: true, force: true });
});

describe("work below an open directory", () => {
  test("makes every kind of entry, with its owner, mode and times", () => {
    const file = openAt(fd, "file", O.WRONLY | O.CREAT | O.EXCL, 0o600);
    writeFileSync(file, "text");
    closeFd(file);
    chownAt(fd, "file", 12, 34);
    chmodAt(fd, "file", 0o4711);
    utimesAt(fd, "file", 1n, 1_000_000_002n);
    mkdirAt(fd, "sub", 0o750);
    symlinkAt("../target", fd, "link");
    linkAt(fd, "file", fd, "hard");
    mknodAt(fd, "node", 0o020000 | 0o600, { major: 1, minor: 7 });
    expect(lstatAt(fd, "file")).toMatchObject({
      kind: "file",
      mode: 0o4711,
      uid: 12,
      gid: 34,
      nlink: 2,
      mtime: 1_000_000_002n,
    });
    expect(lstatAt(fd, "sub")).toMatchObject({ kind: "dir", mode: 0o750 });
    expect(lstatAt(fd, "node")).toMatchObject({ kind: "char", major: 1, minor: 7 });
    expect(readlinkAt(fd, "link")).toBe("../target");
    expect(fstatNs(fd).ino).toBe(lstatNs(dir)?.ino ?? 0n);
    expect(statBatch([join(dir, "hard"), join(dir, "no")]).map((each) => each?.nlink)).toEqual([2, undefined]);
  });

  test("renames, swaps and removes", () => {
    writeFileSync(join(dir, "a"), "a");
    writeFileSync(join(dir, "b"), "b");
    const at = (name: string): { directory: number; name: string } => ({ directory: fd, name });
    expect(() => renameAt(at("a"), at("b"), "no-replace")).toThrow("EEXIST");
    renameAt(at("a"), at("b"), "exchange");
    expect(readFileSync(join(dir, "a"), "utf8")).toBe("b");
    renameAt(at("a"), at("b"));
    expect(existsSync(join(dir, "a"))).toBe(false);
    unlinkAt(fd, "b");
    mkdirAt(fd, "d", 0o700);
    expect(() => unlinkAt(fd, "d")).toThrow("EISDIR");
    unlinkAt(fd, "d", { directory: true });
    expect(() => unlinkAt(fd, "d")).toThrow("ENOENT");
  });

  test("does not follow a link that was planted", () => {
    symlinkSync("/etc/passwd", join(dir, "planted"));
    expect(() => openAt(fd, "planted", O.RDONLY)).toThrow("ELOOP");
    chownAt(fd, "planted", 77, 77);
    expect(lstatNs("/etc/passwd")?.uid).toBe(0);
  });
});

describe("netlink", () => {
  test("failures carry the request, the code and the kernel's words", () => {
    using socket = new NetlinkSocket(NETLINK_ROUTE);
    const RTM_DELLINK = 17;
    const body = new Uint8Array(16);
    body[4] = 0xff;
    body[5] = 0xff;
    const request = { type: RTM_DELLINK, flags: 0, body, what: "removing nothing" };
    expect(() => socket.transact([request])).toThrow(/ENODEV.*removing nothing/);
    expect(socket.attempt([request, request]).map((each) => each?.code)).toEqual(["ENODEV", "ENODEV"]);
    const RTM_GETLINK = 18;
    expect(
      socket.dump({ type: RTM_GETLINK, flags: 0, body: new Uint8Array(16), what: "listing" }).length,
    ).toBeGreaterThan(0);
  });
});
