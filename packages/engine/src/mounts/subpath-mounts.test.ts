import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unmountBelow } from "@slipway/sys";
import { holdSubpath, releaseSubpaths } from "./subpath-mounts.ts";

let dir = "";
let root = "";
const paths = { subpaths: (id: string) => join(dir, "subpaths", id) };
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "slipway-subpath-"));
  root = join(dir, "volume");
  mkdirSync(join(root, "part"), { recursive: true });
  writeFileSync(join(root, "part", "file"), "inside");
});
afterEach(() => {
  unmountBelow(dir);
  rmSync(dir, { recursive: true, force: true });
});

const hold = (subpath: string) => holdSubpath(paths, "c1", 0, { root, subpath, what: "volume" });

test("what is held stays what it was, whatever is put in its place afterwards", () => {
  const place = hold("part");
  renameSync(join(root, "part"), join(root, "away"));
  symlinkSync("/etc", join(root, "part"));
  expect(readFileSync(join(place, "file"), "utf8")).toBe("inside");
  expect(existsSync(join(place, "passwd"))).toBe(false);
});

test("links are followed inside the volume, never out", () => {
  symlinkSync("/part", join(root, "link"));
  expect(readFileSync(join(hold("link"), "file"), "utf8")).toBe("inside");
  releaseSubpaths(paths, "c1");
  symlinkSync(dir, join(root, "out"));
  expect(() => hold("out")).toThrow("it does not exist in the volume");
});

test("a file can be held, and is not removed with its place", () => {
  const place = hold("part/file");
  expect(readFileSync(place, "utf8")).toBe("inside");
  releaseSubpaths(paths, "c1");
  releaseSubpaths(paths, "c1");
  expect(existsSync(paths.subpaths("c1"))).toBe(false);
  expect(readFileSync(join(root, "part", "file"), "utf8")).toBe("inside");
});
