import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RootEntry, RootView } from "@slipway/store";
import { lstatNs } from "@slipway/sys";
import { copyUp } from "./copy-up.ts";

let dir = "";
let image = "";
let volume = "";
let host = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "slipway-copy-up-"));
  [image, volume, host] = ["image", "volume", "host"].map((name) => join(dir, name)) as [string, string, string];
  for (const path of [join(image, "data/sub/deeper"), volume, join(host, "deeper")])
    mkdirSync(path, { recursive: true });
  writeFileSync(join(image, "data/sub/deeper/file"), "of the image");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A directory as an image; `look` is called before a directory of it is read. */
function viewOf(look: (path: string) => void): RootView {
  return {
    lstat: (path) => ({ ...lstatNs(image + path), hostPath: image + path }) as RootEntry,
    resolve: (path) => path,
    readlink: () => "",
    readdir: (path) => {
      look(path);
      return readdirSync(image + path).sort();
    },
    readFile: () => undefined,
    xattrs: () => new Map(),
  };
}

test("a volume is filled", async () => {
  expect(
    await copyUp(
      viewOf(() => {}),
      "/data",
      volume,
    ),
  ).toBe(true);
  expect(readFileSync(join(volume, "sub/deeper/file"), "utf8")).toBe("of the image");
});

test.each(["/data/sub", "/data/sub/deeper"])("a link that is put in the way of %s leads nowhere", async (moment) => {
  const view = viewOf((path) => {
    if (path !== moment) return;
    renameSync(join(volume, "sub"), join(dir, "away"));
    symlinkSync(host, join(volume, "sub"));
  });
  await copyUp(view, "/data", volume).catch(() => {});
  expect(readdirSync(host, { recursive: true })).toEqual(["deeper"]);
});
