import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Engine, run } from "../harness.ts";
import { tagBase } from "./images.ts";
import { installed, must } from "./tools.ts";

const MODULE = "github.com/docker/docker v28.5.2+incompatible";
const BUILD_FLAGS = { CGO_ENABLED: "0", GOFLAGS: "-mod=mod" };

let program: string;
let engine: Engine;
beforeAll(async () => {
  const source = (folder: string) => copyFileSync(join(import.meta.dir, "go-client.go"), join(folder, "main.go"));
  const folder = await installed("go", [MODULE], async (folder) => {
    source(folder);
    writeFileSync(join(folder, "go.mod"), `module foreign\ngo 1.24\nrequire ${MODULE}\n`);
    await must(["go", "mod", "tidy"], { cwd: folder, env: BUILD_FLAGS });
  });
  source(folder);
  await must(["go", "build", "-o", "program", "."], { cwd: folder, env: BUILD_FLAGS });
  program = join(folder, "program");
  engine = await Engine.start();
  await tagBase(engine, "alpine");
}, 300_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

test("the Go client library, with and without negotiation of the version", async () => {
  const output = await run([program], { env: { DOCKER_HOST: `unix://${engine.socket}` } });
  expect(output).toMatchObject({ code: 0, stderr: "" });
  expect(output.stdout.trim().split("\n")).toHaveLength(4);
}, 90_000);
