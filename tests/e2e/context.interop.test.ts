import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run, SLIPWAY } from "./harness.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "slipway-context-"));
});
afterEach(() => rmSync(root, { recursive: true }));

const env = () => ({ DOCKER_CONFIG: join(root, "config"), DOCKER_HOST: "" });
const slipway = (...argv: string[]) => run([SLIPWAY, "context", ...argv], { env: env(), cwd: root });
const docker = (...argv: string[]) => run(["docker", "context", ...argv], { env: env(), cwd: root });

test("Docker's own client lists, uses and exports what ours made, and the other way round", async () => {
  const made = await slipway("create", "ours", "--description", "made here", "--docker", "host=unix:///tmp/a.sock");
  expect(made).toEqual({ code: 0, stdout: "ours\n", stderr: 'Successfully created context "ours"\n' });
  expect((await docker("create", "theirs", "--docker", "host=tcp://far:2375,skip-tls-verify=true")).code).toBe(0);
  for (const words of [
    ["inspect", "ours", "theirs"],
    ["inspect", "-f", "json", "ours"],
    ["ls", "-q"],
  ]) {
    expect((await slipway(...words)).stdout).toBe((await docker(...words)).stdout);
  }
  expect((await slipway("use", "theirs")).code).toBe(0);
  expect((await docker("show")).stdout).toBe("theirs\n");
  expect((await docker("export", "theirs")).code).toBe(0);
  expect((await slipway("import", "again", "theirs.dockercontext")).code).toBe(0);
  expect((await slipway("export", "ours", "ours.tar")).code).toBe(0);
  expect((await docker("import", "back", "ours.tar")).code).toBe(0);
  expect((await slipway("ls", "-q")).stdout).toBe("again\nback\ndefault\nours\ntheirs\n");
  expect((await slipway("rm", "theirs")).stderr).toContain("is in use, set -f flag");
  expect(await slipway("rm", "-f", "theirs", "back")).toMatchObject({ code: 0, stdout: "theirs\nback\n" });
  expect((await docker("show")).stdout).toBe("default\n");
}, 20_000);

test.each([
  [["create", "a"], 'context name "a" is invalid'],
  [["create", "default"], '"default" is a reserved context name'],
  [["create", "xx", "--docker", "foo=bar"], "unable to create docker endpoint config: unrecognized config key: foo"],
  [["create", "xx", "--docker", "host=bad"], "unable to parse docker host"],
  [["create", "xx", "--docker", "host=unix:///x,ca=/nope"], "open /nope: no such file or directory"],
  [["use", "nope"], 'context "nope": context not found'],
  [["rm", "nope"], 'context "nope" does not exist'],
  [["rm", "default"], 'context "default" cannot be removed'],
  [["import", "xx", "/nope"], "open /nope: no such file or directory"],
])("context %p is refused", async (words, reason) => {
  const output = await slipway(...words);
  expect(output).toMatchObject({ code: 1, stdout: "" });
  expect(output.stderr).toContain(reason);
});

test("an archive without a context in it is refused", async () => {
  writeFileSync(join(root, "empty.tar"), new Uint8Array(1024));
  expect(await slipway("import", "xx", "empty.tar")).toMatchObject({
    code: 1,
    stderr: "invalid context: no metadata found\n",
  });
});
