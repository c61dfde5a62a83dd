import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "../run-cli.ts";
import { TestIo } from "../testing/test-io.ts";
import { findPlugin, pluginNames } from "./find-plugins.ts";

const root = mkdtempSync(join(tmpdir(), "slipway-plugins-"));
afterAll(() => rmSync(root, { recursive: true }));

function install(folder: string, name: string, script: string, mode = 0o755): string {
  mkdirSync(join(root, folder), { recursive: true });
  const path = join(root, folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, mode);
  return path;
}

const record = `if [ "$1" = docker-cli-plugin-metadata ]; then
  echo '{"SchemaVersion":"0.1.0","Vendor":"Tests","ShortDescription":"Says what it hears"}'; exit
fi
echo "$DOCKER_HOST|$*" > ${root}/heard; exit 7`;

const io = (more: Record<string, string> = {}) =>
  new TestIo({ env: { ...process.env, DOCKER_CONFIG: root, DOCKER_HOST: "unix:///some.sock", ...more } });

test("a command that a plug-in adds runs with all words and the plug-in's exit code", async () => {
  install("cli-plugins", "docker-echo", record);
  expect(await runCli(["--debug", "echo", "up", "--flag=x"], io())).toBe(7);
  expect(await Bun.file(join(root, "heard")).text()).toBe("unix:///some.sock|--debug echo up --flag=x\n");
});

test("a plug-in stands in for a command of Docker's that is not built in", async () => {
  install("cli-plugins", "docker-compose", record);
  expect(await runCli(["compose", "up", "-d"], io())).toBe(7);
  install("cli-plugins", "docker-buildx", record);
  expect(await runCli(["buildx", "bake"], io())).toBe(7);
  expect(await Bun.file(join(root, "heard")).text()).toEndWith("|buildx bake\n");
});

test("the help lists plug-ins with what they say of themselves", async () => {
  install("cli-plugins", "docker-broken", "echo nonsense");
  const output = io();
  expect(await runCli(["--help"], output)).toBe(0);
  expect(output.stdout.text).toContain("  echo        Says what it hears\n");
  expect(output.stdout.text).not.toContain("broken");
});

test("folders of the configuration count, the user's own first, and nothing that cannot be run", async () => {
  const extra = install("extra", "docker-more", "exit 3");
  install("extra", "docker-text", "exit 3", 0o644);
  writeFileSync(join(root, "config.json"), JSON.stringify({ cliPluginsExtraDirs: [join(root, "extra")] }));
  expect(await runCli(["more"], io())).toBe(3);
  expect(await runCli(["text"], io())).toBe(1);
  expect(findPlugin([join(root, "cli-plugins"), join(root, "extra")], "more")).toBe(extra);
  expect(pluginNames([join(root, "extra")])).toEqual(["more"]);
});

test("a name cannot lead out of the folder", () => {
  install(".", "docker-evil", "exit 3");
  expect(findPlugin([join(root, "extra")], "x/../../docker-evil")).toBeUndefined();
});
