import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bindMount, mountOverlay, mounts, mountTmpfs, parseMountInfo, unmount, unmountBelow } from "./index.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "slipway-mounts-"));
});
afterEach(() => {
  unmountBelow(dir);
  rmSync(dir, { recursive: true, force: true });
});

function directory(name: string, files: Record<string, string> = {}): string {
  const path = join(dir, name);
  mkdirSync(path, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

describe("tmpfs and bind mounts", () => {
  test("a tmpfs appears in the list of mounts and goes away", () => {
    const target = directory("t");
    mountTmpfs(target, { size: 1 << 20, mode: 0o700 });
    const found = mounts().find((each) => each.target === target);
    expect(found?.fstype).toBe("tmpfs");
    expect(found?.superOptions).toContain("size=1024k");
    unmount(target);
    expect(mounts().some((each) => each.target === target)).toBe(false);
  });

  test("a read-only bind mount shows the source and cannot be written", () => {
    const [source, target] = [directory("s", { a: "1" }), directory("t")];
    bindMount(source, target, { readonly: true, propagation: "private" });
    expect(readFileSync(join(target, "a"), "utf8")).toBe("1");
    expect(() => writeFileSync(join(target, "b"), "")).toThrow("EROFS");
    writeFileSync(join(source, "c"), "");
    expect(existsSync(join(target, "c"))).toBe(true);
  });

  test("a recursive bind mount brings the mounts below", () => {
    const [source, target] = [directory("s"), directory("t")];
    mountTmpfs(directory("s/inner"));
    writeFileSync(join(source, "inner/x"), "");
    bindMount(source, target);
    expect(readdirSync(join(target, "inner"))).toEqual([]);
    unmount(target);
    bindMount(source, target, { recursive: true, readonly: true });
    expect(readdirSync(join(target, "inner"))).toEqual(["x"]);
    expect(() => writeFileSync(join(target, "inner/y"), "")).toThrow("EROFS");
  });

  test("errors name the call and the path", () => {
    expect(() => unmount(join(dir, "nothing"))).toThrow(`ENOENT: no such file or directory, umount '${dir}/nothing'`);
    expect(() => bindMount(join(dir, "no"), directory("t"))).toThrow("ENOENT");
    expect(() => mountTmpfs(`${dir}/a\0b`)).toThrow("NUL byte");
  });

  test("spaces in mountinfo are decoded", () => {
    const target = directory("with space");
    mountTmpfs(target);
    expect(mounts().some((each) => each.target === target)).toBe(true);
    expect(parseMountInfo("36 35 98:0 / /a\\040b rw shared:1 master:2 - ext4 /dev/x rw,e=1\n")[0]).toMatchObject({
      target: "/a b",
      propagation: ["shared:1", "master:2"],
      fstype: "ext4",
      superOptions: "rw,e=1",
    });
  });
});

describe("overlay", () => {
  test("unites lowers, topmost first, and writes into the upper", () => {
    const lowers = [directory("top", { a: "top" }), directory("bottom", { a: "bottom", b: "bottom" })];
    const [upper, work, target] = [directory("upper"), directory("work"), directory("merged")];
    mountOverlay({ lowers, upper, work, target, volatile: true });
    expect(readFileSync(join(target, "a"), "utf8")).toBe("top");
    expect(readFileSync(join(target, "b"), "utf8")).toBe("bottom");
    writeFileSync(join(target, "c"), "new");
    rmSync(join(target, "b"));
    unmount(target);
    expect(readdirSync(upper).sort()).toEqual(["b", "c"]);
  });

  test("takes 200 layers with long paths", () => {
    const deep = "d".repeat(120);
    const lowers = Array.from({ length: 200 }, (_, index) =>
      directory(`${deep}/${deep}/l${index}`, { [`f${index}`]: "" }),
    );
    const [upper, work, target] = [directory("upper"), directory("work"), directory("merged")];
    mountOverlay({ lowers, upper, work, target });
    expect(readdirSync(target).length).toBe(200);
  });

  test("one lower without an upper is a read-only view, no lower at all is the upper itself", () => {
    const [lower, upper, work, target] = [directory("l", { a: "" }), directory("u"), directory("w"), directory("m")];
    mountOverlay({ lowers: [lower], target });
    expect(readdirSync(target)).toEqual(["a"]);
    expect(() => writeFileSync(join(target, "b"), "")).toThrow("EROFS");
    unmount(target);
    mountOverlay({ lowers: [], upper, work, target });
    writeFileSync(join(target, "x"), "");
    expect(readdirSync(upper)).toEqual(["x"]);
  });

  test("says what is wrong, with the kernel's own words", () => {
    const target = directory("m");
    expect(() => mountOverlay({ lowers: [join(dir, "no1"), join(dir, "no2")], target })).toThrow(/ENOENT.*no1/);
    expect(() => mountOverlay({ lowers: [], target })).toThrow("no directories");
    expect(mounts().some((each) => each.target === target)).toBe(false);
  });
});
