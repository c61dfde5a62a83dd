import { afterAll, expect, test } from "bun:test";
import { Trial } from "./trial.fixture.ts";

const trial = new Trial();
afterAll(() => trial[Symbol.asyncDispose]());

test("a container's output and exit code arrive", async () => {
  const result = await trial.run(["sh", "-c", "echo out; echo err >&2; exit 7"]);
  expect(result).toMatchObject({ stdout: "out\n", stderr: "err\n", exitCode: 7 });
});
