import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SlipwayError } from "@slipway/base";
import { Engine, SLIPWAY } from "../e2e/harness.ts";
import { DebianEngine } from "./debian-engine.ts";
import { DIFFERENCES } from "./differences.ts";
import { type Result, Runner, type Target } from "./runner.ts";
import { SECTIONS } from "./sections/index.ts";

const SECTION_TIMEOUT = 300_000;

/** The first `docker` on PATH, which must be newer than Debian's. */
function newestClient(): string {
  const client = Bun.which("docker") ?? "docker";
  const version = Bun.spawnSync([client, "--version"]).stdout.toString();
  if (/version (2[89]|[3-9]\d)\./.test(version)) return client;
  throw new SlipwayError("unavailable", `the first docker on PATH is no client of version 28: ${version}`, {
    hint: "Put the static binary of Docker's client on PATH.",
  });
}

/** Runs each section as one test against a target that `start` brings up. */
function script(
  name: string,
  start: () => Promise<{ readonly target: Target; readonly engine: AsyncDisposable }>,
): void {
  describe(name, () => {
    let engine: AsyncDisposable | undefined;
    let runner: Runner;
    beforeAll(async () => {
      const started = await start();
      engine = started.engine;
      runner = new Runner(started.target, DIFFERENCES);
      await runner.refuseUsedEngine();
    }, 120_000);
    afterAll(async () => {
      await runner?.[Symbol.asyncDispose]();
      await engine?.[Symbol.asyncDispose]();
    }, 120_000);
    for (const section of SECTIONS) {
      test(
        section.name,
        async () => {
          const failed: Result[] = [];
          await runner.run(section, (result) => {
            if (result.verdict === "failed") failed.push(result);
          });
          expect(failed.map(({ sentence, detail }) => `${sentence}\n  ${detail}`)).toEqual([]);
        },
        SECTION_TIMEOUT,
      );
    }
  });
}

script("Docker's client against ours", async () => {
  const engine = await Engine.start();
  const host = `unix://${engine.socket}`;
  const docker = newestClient();
  return { engine, target: { engine: "slipway", host, client: docker, clientName: "docker", base: "slipway/base" } };
});

script("our client against ours", async () => {
  const engine = await Engine.start();
  const host = `unix://${engine.socket}`;
  return { engine, target: { engine: "slipway", host, client: SLIPWAY, clientName: "slipway", base: "slipway/base" } };
});

script("Debian's client of version 20.10 against ours", async () => {
  const engine = await Engine.start();
  const host = `unix://${engine.socket}`;
  const client = "/usr/bin/docker";
  return { engine, target: { engine: "slipway", host, client, clientName: "docker-20.10", base: "slipway/base" } };
});

script("Docker's client against Debian's Docker 20.10", async () => {
  const engine = await DebianEngine.start();
  const { host, netns } = engine;
  const docker = newestClient();
  return {
    engine,
    target: { engine: "docker-20.10", host, netns, client: docker, clientName: "docker", base: "slipway/base" },
  };
});

test("the script has over five hundred assertions, and each difference names one of them", () => {
  const names = SECTIONS.flatMap((section) =>
    section.lines.flatMap((line) => (line.kind === "assertion" ? [`${section.name}: ${line.sentence}`] : [])),
  );
  expect(names.length).toBeGreaterThan(500);
  expect(names.length).toBe(new Set(names).size);
  expect(DIFFERENCES.filter(({ section, sentence }) => !names.includes(`${section}: ${sentence}`))).toEqual([]);
});
