import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { lsetxattr, mknod } from "@slipway/sys";
import { readTar } from "@slipway/tar";
import { tarOf } from "@slipway/testkit";
import {
  containerOf,
  type Fixture,
  idleSupervisor,
  mountsBelow,
  openFixture,
  streamOf,
} from "../testing/engine-fixture.ts";

let fixture: Fixture;
let id: string;
let upper: string;
const { signal } = new AbortController();

beforeAll(async () => {
  fixture = await openFixture({ supervisor: idleSupervisor });
  ({ id } = await fixture.engine.containers.create({ ...containerOf(["true"]), name: "box" }));
  upper = (await fixture.engine.containers.inspect(id)).container.layers.upper;
});
afterAll(() => fixture?.[Symbol.asyncDispose]());

const extract = (path: string, tar: Uint8Array, more: { copyUidGid?: boolean; noOverwriteDirNonDir?: boolean } = {}) =>
  fixture.engine.files.extract("box", path, streamOf(tar), {
    ...{ copyUidGid: false, noOverwriteDirNonDir: true, signal },
    ...more,
  });

async function listed(tar: AsyncIterable<Uint8Array>): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { header, content } of readTar(tar)) {
    const parts: Uint8Array[] = [];
    for await (const chunk of content) parts.push(chunk);
    found.set(header.name, header.type === "file" ? Buffer.concat(parts).toString() : header.type);
  }
  return found;
}

test("what goes in comes out, under the name that was asked for", async () => {
  await extract(
    "/tmp",
    tarOf([
      { name: "tree", type: "dir", mode: 0o750 },
      { name: "tree/a", type: "file", content: "alpha" },
      { name: "tree/b", type: "link", linkname: "tree/a" },
      { name: "tree/c", type: "symlink", linkname: "/nowhere" },
    ]),
  );
  const { stat, tar } = await fixture.engine.files.archive("box", "/tmp/tree", { signal });
  expect(stat).toMatchObject({ name: "tree", stat: { kind: "dir", mode: 0o750 }, linkTarget: "" });
  expect(await listed(tar)).toEqual(
    new Map([
      ["tree", "dir"],
      ["tree/a", "alpha"],
      ["tree/b", "link"],
      ["tree/c", "symlink"],
    ]),
  );
  const inside = await fixture.engine.files.archive("box", "tmp/tree/.", { signal });
  expect([...(await listed(inside.tar)).keys()]).toEqual([".", "./a", "./b", "./c"]);
  expect(await fixture.engine.files.stat("box", "/tmp/tree/c")).toMatchObject({ linkTarget: "/nowhere" });
});

test("compressed archives are taken", async () => {
  const plain = tarOf([{ name: "z", type: "file", content: "zipped" }]);
  for (const tar of [Bun.gzipSync(new Uint8Array(plain)), Bun.zstdCompressSync(plain)]) {
    await extract("/tmp", tar);
    const { tar: out } = await fixture.engine.files.archive("box", "/tmp/z", { signal });
    expect(await listed(out)).toEqual(new Map([["z", "zipped"]]));
  }
});

test("a compressed archive is left in the middle without a word when what it holds is refused", async () => {
  const content = new Uint8Array(5_000_000).map((_, n) => n * 7919);
  const members = [{ name: "../out", type: "file" as const, content }];
  for (const compress of [Bun.gzipSync, Bun.zstdCompressSync]) {
    const refused = extract("/tmp", new Uint8Array(compress(new Uint8Array(tarOf([...members, ...members])))));
    await expect(refused).rejects.toMatchObject({ code: "invalid" });
  }
  // A failure that nobody waits for would come by now.
  await Bun.sleep(20);
});

test("what an archive asks for and no root can have is the archive's mistake", async () => {
  const attribute = new Map([["security.capability", Buffer.from("nonsense")]]);
  const members = [
    { name: "n".repeat(300), type: "file" as const },
    { name: "caps", type: "file" as const, xattrs: attribute },
    { name: "etc/passwd/below", type: "file" as const },
  ];
  for (const member of members) await expect(extract("/", tarOf([member]))).rejects.toMatchObject({ code: "invalid" });
  await expect(extract("/", tarOf([{ name: "etc/passwd/below", type: "file" }]))).rejects.toThrow(
    'cannot unpack "etc/passwd/below": not a directory',
  );
});

test("a directory gives way to a file only when that is allowed", async () => {
  const dir = tarOf([
    { name: "d", type: "dir" },
    { name: "d/x", type: "file", content: "x" },
  ]);
  const file = tarOf([{ name: "d", type: "file", content: "file" }]);
  await extract("/tmp", dir);
  await expect(extract("/tmp", file)).rejects.toMatchObject({
    code: "invalid",
    message: expect.stringMatching(/cannot overwrite directory/),
  });
  await extract("/tmp", file, { noOverwriteDirNonDir: false });
  await expect(extract("/tmp", dir)).rejects.toMatchObject({
    message: expect.stringMatching(/cannot overwrite non-directory/),
  });
});

test("archives that lead out are refused, links in the root stay inside it", async () => {
  const evil = tarOf([{ name: "a/../../x", type: "file", content: "evil" }]);
  await expect(extract("/tmp", evil)).rejects.toMatchObject({
    code: "invalid",
    message: expect.stringMatching(/leads out/),
  });
  symlinkSync(fixture.root, join(upper, "out"));
  await expect(extract("/out", tarOf([{ name: "escaped", type: "file" }]))).rejects.toMatchObject({
    code: "not-found",
  });
  await extract("/", tarOf([{ name: "out/escaped", type: "file" }])).catch(() => {});
  expect(existsSync(join(fixture.root, "escaped"))).toBe(false);
  await expect(fixture.engine.files.stat("box", `/out/slipway.db`)).rejects.toMatchObject({ code: "not-found" });
  rmSync(join(upper, "out"));
});

test("wrong paths and archives are told from one another", async () => {
  const { files } = fixture.engine;
  await expect(files.stat("box", "/no/such")).rejects.toMatchObject({
    ...{ code: "not-found", message: "Could not find the file /no/such in container box" },
  });
  await expect(files.stat("nobody", "/")).rejects.toMatchObject({ message: "No such container: nobody" });
  await expect(files.stat("box", "/etc/passwd/")).rejects.toMatchObject({ code: "invalid" });
  await expect(extract("/etc/passwd", tarOf([]))).rejects.toMatchObject({
    message: "extraction point is not a directory",
  });
  await expect(extract("/tmp", Buffer.from("no tar at all"))).rejects.toMatchObject({ code: "invalid" });
});

test("a stream that is given up leaves no mount and no lock", async () => {
  const { tar } = await fixture.engine.files.archive("box", "/", { signal });
  for await (const _ of tar) break;
  const gone = new AbortController();
  await fixture.engine.files.archive("box", "/", { signal: gone.signal });
  gone.abort();
  await fixture.engine.files.stat("box", "/");
  expect(mountsBelow(fixture.root)).toEqual([]);
});

test("changes tell what an upper directory says: whiteouts, opaque directories, new and changed files", async () => {
  const made = await fixture.engine.containers.create({ ...containerOf(["true"]), name: "changed" });
  const { layers } = (await fixture.engine.containers.inspect(made.id)).container;
  const at = (path: string) => join(layers.upper, path);
  mkdirSync(at("etc"));
  mknod(at("etc/group"), 0o020000, 0, 0);
  writeFileSync(at("etc/passwd"), "changed");
  writeFileSync(at("etc/hosts"), "");
  writeFileSync(at(".dockerenv"), "");
  expect(await fixture.engine.files.changes("changed")).toEqual([
    { path: "/etc", kind: "modified" },
    { path: "/etc/group", kind: "deleted" },
    { path: "/etc/passwd", kind: "modified" },
  ]);
  rmSync(at("etc/group"));
  lsetxattr(at("etc"), fixture.store.userxattr ? "user.overlay.opaque" : "trusted.overlay.opaque", Buffer.from("y"));
  const deleted = (await fixture.engine.files.changes("changed")).filter(({ kind }) => kind === "deleted");
  expect(deleted).toContainEqual({ path: "/etc/group", kind: "deleted" });
  const image = fixture.store.images.get(
    await fixture.engine.files.commit("changed", {
      ...{ repository: "made", author: "a", comment: "c", changes: ["ENV A=b"], config: { User: "nobody" } },
    }),
  );
  expect(image?.config).toMatchObject({ author: "a", config: { User: "nobody", Cmd: ["true"] } });
  const view = await fixture.store.layers.view(image?.layers.at(-1));
  expect(view.readdir("/etc")).toEqual(["passwd"]);
  expect(existsSync(at("etc/passwd"))).toBe(true);
  const refused = { author: "", comment: "", changes: ["FROM x"] };
  await expect(fixture.engine.files.commit("changed", refused)).rejects.toMatchObject({ code: "invalid" });
});

test("export holds all files and what is in no volume", async () => {
  const names = [...(await listed(await fixture.engine.files.export("box", { signal }))).keys()];
  expect(names).toContain("etc/passwd");
  expect(names).toContain("tmp/tree/a");
});
