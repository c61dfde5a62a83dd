import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContainerContext } from "../containers/container-context.ts";
import type { ContainerEntry } from "../containers/container-index.ts";
import { tellLinkers } from "./default-links.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "slipway-links-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

function entry(id: string, links?: Record<string, string>): ContainerEntry {
  const endpoints = [{ networkName: "bridge", address: "172.17.0.9" }];
  return { id, name: id, state: { status: "running" }, endpoints, definition: { config: {}, links } } as never;
}

function told(linkers: readonly ContainerEntry[]): string[] {
  const warnings: string[] = [];
  const file = (name: string) => (id: string) => join(dir, id, name);
  const context = {
    index: { all: () => linkers },
    log: { warn: (message: string) => warnings.push(message) },
    paths: { hosts: file("hosts"), hostname: file("hostname"), resolvConf: file("resolv.conf") },
  } as unknown as ContainerContext;
  tellLinkers(context, entry("db"));
  return warnings;
}

test("a linked container whose hosts file cannot be changed troubles neither the one that starts nor the others", () => {
  for (const id of ["huge", "good"]) mkdirSync(join(dir, id));
  writeFileSync(join(dir, "huge", "hosts"), Buffer.alloc(2 * 1024 * 1024, "x"));
  writeFileSync(join(dir, "good", "hosts"), "127.0.0.1\tlocalhost\n");
  const warnings = told(["gone", "huge", "good"].map((id) => entry(id, { data: "db" })));
  expect(warnings.length).toBe(2);
  expect(readFileSync(join(dir, "good", "hosts"), "utf8")).toBe("127.0.0.1\tlocalhost\n172.17.0.9\tdata  db\n");
});
