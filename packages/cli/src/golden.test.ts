import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "./run-cli.ts";
import { CannedEngine } from "./testing/canned-engine.ts";
import { maskTimes, parseCommandLine } from "./testing/golden-lines.ts";
import { TestIo } from "./testing/test-io.ts";

interface GoldenRecord {
  readonly command: string;
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

const records = JSON.parse(readFileSync(join(import.meta.dir, "../golden/docker-28.json"), "utf8")) as GoldenRecord[];

let directory: string;
let engine: CannedEngine;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "slipway-cli-"));
  engine = new CannedEngine(join(directory, "s.sock"));
});

afterAll(() => {
  engine[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

for (const { command, exit, stdout, stderr } of records) {
  test(`${command} prints what Docker's client prints`, async () => {
    const { argv, stdin } = parseCommandLine(command);
    const io = new TestIo({ stdin, env: { DOCKER_HOST: `unix://${engine.socket}`, DOCKER_CONFIG: directory } });
    const status = await runCli(argv, io);
    expect({ status, stdout: maskTimes(io.stdout.text) }).toEqual({ status: exit, stdout });
    // What is told of errors may be better, but it goes to the same stream.
    const told = stderr.startsWith("DEPRECATED") ? "" : stderr;
    expect(io.stderr.text === "").toBe(told === "");
  });
}
