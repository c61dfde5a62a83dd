import { afterAll, beforeAll, expect, test } from "bun:test";
import { BASE, Engine, mountsBelow } from "./harness.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

const state = (name: string) => engine.ok("inspect", "-f", "{{.State.Status}}", name);

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = AbortSignal.timeout(20_000);
  while (!(await condition())) {
    deadline.throwIfAborted();
    await Bun.sleep(5);
  }
}

test("a daemon that is killed in the middle of a commit leaves no container paused", async () => {
  await engine.ok("run", "-d", "--name", "big", BASE, "sh", "-c", "head -c 300000000 /dev/urandom > /f; sleep 600");
  await until(
    async () => (await engine.slipway(["exec", "big", "sh", "-c", "[ $(stat -c %s /f) = 300000000 ]"])).code === 0,
  );
  const commit = engine.slipway(["commit", "big", "image:cut"]);
  await until(async () => (await state("big")) === "paused");
  await engine.stopDaemon("SIGKILL");
  await commit;
  await engine.startDaemon();
  expect(await state("big")).toBe("running");
  expect(await engine.ok("exec", "big", "echo", "moves")).toBe("moves");
  await engine.ok("rm", "-f", "big");
}, 60_000);

test("a killed daemon's volumes with options and its execs are found again", async () => {
  await engine.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m", "memory");
  await engine.ok("run", "-d", "--name", "user", "-v", "memory:/m", BASE, "sleep", "600");
  const id = await engine.ok("inspect", "-f", "{{.Id}}", "user");
  await engine.ok("exec", "-d", "user", "sh", "-c", "until [ -e /m/go ]; do sleep 0.01; done");
  const [exec = ""] = JSON.parse(await engine.ok("inspect", "-f", "{{json .ExecIDs}}", id)) as string[];
  await engine.stopDaemon("SIGKILL");
  await engine.startDaemon();
  expect(JSON.parse(await engine.ok("inspect", "-f", "{{json .ExecIDs}}", id))).toEqual([exec]);
  expect(mountsBelow(engine.dataRoot).filter((path) => path.includes("/volumes/memory/"))).toHaveLength(1);
  await engine.ok("exec", "user", "touch", "/m/go");
  const inspect = async () =>
    (await (await fetch(`http://engine/exec/${exec}/json`, { unix: engine.socket })).json()) as {
      Running: boolean;
      ExitCode: number;
    };
  await until(async () => !(await inspect()).Running);
  expect((await inspect()).ExitCode).toBe(0);
  await engine.ok("rm", "-f", "user");
  await until(async () => !mountsBelow(engine.dataRoot).some((path) => path.includes("/volumes/memory/")));
  await engine.ok("volume", "rm", "memory");
}, 60_000);

test("--restart on-unhealthy starts a container again whose health check fails", async () => {
  await engine.ok(
    ...["run", "-d", "--name", "sick", "--restart", "on-unhealthy:1", "--stop-timeout", "0"],
    ...["--health-cmd", "test ! -e /sick", "--health-interval", "20ms", "--health-retries", "1"],
    ...[BASE, "sh", "-c", "rm -f /sick; sleep 600"],
  );
  await until(async () => (await engine.ok("inspect", "-f", "{{.State.Health.Status}}", "sick")) === "healthy");
  await engine.ok("exec", "sick", "touch", "/sick");
  await until(async () => (await engine.ok("inspect", "-f", "{{.RestartCount}}", "sick")) === "1");
  await until(async () => (await engine.ok("inspect", "-f", "{{.State.Health.Status}}", "sick")) === "healthy");
  await engine.ok("rm", "-f", "sick");
}, 60_000);
