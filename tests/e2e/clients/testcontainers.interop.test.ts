import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { Engine, type Output, run } from "../harness.ts";
import { buildRedis, buildRyuk, ryukProgram, tagBase } from "./images.ts";
import { npmFolder } from "./tools.ts";

// testcontainers as it comes from npm, under the Node that it asks for.
const RYUK = "testcontainers/ryuk:0.14.0";
const ryuk = await ryukProgram();
let folder: string;
let engine: Engine;

beforeAll(async () => {
  folder = await npmFolder("testcontainers@12", "@testcontainers/redis@12", "redis@5", "node@24");
  engine = await Engine.start();
  await tagBase(engine, "alpine:3.20");
  await buildRedis(engine, "redis:7");
  if (ryuk !== undefined) await buildRyuk(engine, ryuk, RYUK);
}, 300_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

/** Node finds packages beside the script that asks for them: it is run from a copy in their folder. */
function node(script: string, flags: readonly string[] = [], env: Record<string, string> = {}): Promise<Output> {
  copyFileSync(join(import.meta.dir, script), join(folder, script));
  return run([join(folder, "node_modules/.bin/node"), ...flags, join(folder, script)], {
    cwd: folder,
    env: {
      DOCKER_HOST: `unix://${engine.socket}`,
      TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE: engine.socket,
      TESTCONTAINERS_RYUK_DISABLED: ryuk === undefined ? "true" : "false",
      ...env,
    },
  });
}

test.each(["generic", "files", "networks"])(
  "testcontainers: %s",
  async (subject) => {
    const script = `testcontainers-${subject}.mjs`;
    const output = await node(script, ["--test", "--test-reporter=spec", "--test-timeout=60000"]);
    if (output.code !== 0) throw new Error(`${script}\n${output.stdout}${output.stderr}`);
    expect(output.stdout).toMatch(/pass [1-9]/);
  },
  240_000,
);

test.skipIf(ryuk === undefined)(
  "Ryuk takes away what a test that was killed leaves behind",
  async () => {
    const output = await node("testcontainers-ryuk.mjs", [], { TESTCONTAINERS_RYUK_RECONNECTION_TIMEOUT: "1s" });
    const [container = "", network = ""] = output.stdout.trim().split(" ");
    expect(container).toMatch(/^[0-9a-f]{64}$/);
    const there = async (...words: string[]) => (await engine.slipway([...words])).code === 0;
    for (;;) {
      if (!(await there("inspect", container)) && !(await there("network", "inspect", network))) break;
      await Bun.sleep(100);
    }
    expect(await engine.ok("network", "ls", "-q", "--filter", "label=org.testcontainers=true")).toBe("");
  },
  60_000,
);
