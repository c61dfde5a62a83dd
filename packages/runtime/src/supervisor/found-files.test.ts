import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cgroupOf } from "./found-files.ts";

let bundle = "";
beforeEach(() => {
  bundle = mkdtempSync(join(tmpdir(), "slipway-found-"));
});
afterEach(() => rmSync(bundle, { recursive: true }));

const write = (document: object) => writeFileSync(join(bundle, "config.json"), JSON.stringify(document));

test("an annotation of the same name is not the container's cgroup", () => {
  const linux = { cgroupsPath: "/slipway/id", namespaces: [] };
  const value = '"linux":{"cgroupsPath":"/"';
  write({ annotations: { cgroupsPath: "/", linux: value, [value]: value }, linux });
  expect(cgroupOf(bundle).directory("")).toEndWith("/slipway/id");
});

test("a path with quotes, and a document with other places for it, are read", () => {
  write({ linux: { cgroupsPath: '/a"b\\/id' } });
  expect(cgroupOf(bundle).directory("")).toEndWith('/a"b\\/id');
  write({ linux: { namespaces: [], cgroupsPath: "/old/id" } });
  expect(cgroupOf(bundle).directory("")).toEndWith("/old/id");
  write({ linux: {} });
  expect(() => cgroupOf(bundle)).toThrow("names no cgroup");
});
