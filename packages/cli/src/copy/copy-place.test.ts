import { expect, test } from "bun:test";
import { type End, parsePlace, planCopy } from "./copy-place.ts";

const end = (path: string, kind?: "file" | "dir"): End => ({
  path,
  exists: kind !== undefined,
  isDirectory: kind === "dir",
});

test("a container's path has a colon, one of this machine a slash or a dot in front", () => {
  expect(parsePlace("c:/a:b")).toEqual({ container: "c", path: "/a:b" });
  expect(parsePlace("./c:/a")).toEqual({ path: "./c:/a" });
  expect(parsePlace("/c:a")).toEqual({ path: "/c:a" });
  expect(parsePlace("-")).toEqual({ path: "-" });
});

const PLANS: readonly (readonly [source: End, target: End, directory: string, name: string])[] = [
  [end("/s/f", "file"), end("/d", "dir"), "/d", "f"],
  [end("/s/f", "file"), end("/d/g", "file"), "/d", "g"],
  [end("/s/f", "file"), end("/d/new"), "/d", "new"],
  [end("/s/t", "dir"), end("/d", "dir"), "/d", "t"],
  [end("/s/t", "dir"), end("/d/new/"), "/d", "new"],
  [end("/s/t/.", "dir"), end("/d", "dir"), "/d", "."],
  [end("/s/t/.", "dir"), end("/d/new"), "/d", "new"],
];

for (const [source, target, directory, name] of PLANS) {
  test(`${source.path} to ${target.path}, which ${target.exists ? "exists" : "does not exist"}`, () => {
    expect(planCopy(source, target)).toEqual({ directory, name });
  });
}

test("what cannot be copied is refused in Docker's words", () => {
  expect(() => planCopy(end("/t", "dir"), end("/f", "file"))).toThrow("cannot copy directory");
  expect(() => planCopy(end("/f", "file"), end("/no/"))).toThrow("no such directory");
  expect(() => planCopy(end("/f/", "file"), end("/x"))).toThrow("not a directory");
});
