import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { baseImageArchive } from "@slipway/testkit";
import { BASE, Engine, mountsBelow, type Output } from "./harness.ts";

/** A number from 0 to `limit` - 1, the same sequence in each run. */
function dice(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % limit;
  };
}

test("kill -9 of the daemon at random moments of builds, loads and runs never harms what was there", async () => {
  await using engine = await Engine.start();
  const archive = join(engine.root, "loaded.tar");
  writeFileSync(archive, baseImageArchive("loaded:1"));
  await engine.ok(
    "run",
    "-d",
    "--name",
    "witness",
    "--network",
    "none",
    BASE,
    "sh",
    "-c",
    "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done",
  );
  const roll = dice(20260);

  for (let round = 0; round < 12; round++) {
    const directory = engine.context({
      Dockerfile: `FROM ${BASE}\nRUN echo ${round} > /r; head -c 3000000 /dev/urandom > /big\nCOPY file /f\nRUN cat /f\n`,
      file: `${round}`,
    });
    const work: Promise<Output>[] = [
      engine.slipway(["build", "-q", "-t", `built:${round}`, directory]),
      engine.slipway(["load", "-q", "-i", archive]),
      engine.slipway(["run", "--name", `run-${round}`, BASE, "echo", "ran"]),
    ];
    await Bun.sleep(5 + roll(250)); // The random moment itself.
    await engine.stopDaemon("SIGKILL");
    await Promise.all(work);
    await engine.startDaemon();
    await expectHealthy(engine);
  }

  const lines = (await engine.ok("logs", "witness")).split("\n").map(Number);
  expect(lines).toEqual(Array.from({ length: lines.length }, (_, n) => n));
}, 180_000);

async function expectHealthy(engine: Engine): Promise<void> {
  // What is named can be run, and what a build says it made is there.
  for (const image of (await engine.ok("images", "--format", "{{.Repository}}:{{.Tag}}"))
    .split("\n")
    .filter((name) => !name.includes("<none>"))) {
    expect(await engine.ok("run", "--rm", "--network", "none", image, "echo", "runs")).toBe("runs");
  }
  expect(await engine.ok("inspect", "--format", "{{.State.Running}}", "witness")).toBe("true");
  for (const row of (await engine.ok("ps", "-a", "--format", "{{.Names}} {{.State}}")).split("\n")) {
    const [name = "", state = ""] = row.split(" ");
    expect(["created", "running", "exited"]).toContain(state);
    if (name !== "witness") await engine.ok("rm", "-f", name);
  }
  // Of all mounts only the witness's own are left.
  await until(() => mountsBelow(engine.dataRoot).length === 1);
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("mounts are left behind");
    await Bun.sleep(20);
  }
}
