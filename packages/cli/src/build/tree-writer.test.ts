import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TarHeader } from "@slipway/tar";
import { TreeWriter } from "./tree-writer.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "slipway-tree-writer-"));
  mkdirSync(join(dir, "outside"), { mode: 0o700 });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function header(fields: Pick<TarHeader, "name" | "type"> & Partial<TarHeader>): TarHeader {
  const rest = { mode: 0o777, uid: 0, gid: 0, size: 0, mtime: 0n, linkname: "", devmajor: 0, devminor: 0 };
  return { ...rest, uname: "", gname: "", xattrs: new Map(), ...fields } as TarHeader;
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

test("a directory whose name is a link out gets no mode there", async () => {
  const root = join(dir, "root");
  // Inside the root the link leads to a folder of the same path, so there is a directory of this name.
  mkdirSync(join(root, dir, "outside"), { recursive: true });
  const writer = new TreeWriter(root);
  await writer.add(header({ name: "link", type: "symlink", linkname: join(dir, "outside") }), nothing());
  await writer.add(header({ name: "link", type: "dir" }), nothing());
  writer.finish();
  writer.close();
  expect(statSync(join(dir, "outside")).mode & 0o777).toBe(0o700);
  expect(statSync(join(root, dir, "outside")).mode & 0o777).toBe(0o777);
});
