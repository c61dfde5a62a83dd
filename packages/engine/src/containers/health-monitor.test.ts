import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import type { HealthState } from "../faces.ts";
import { type Fixture, openFixture, realSupervisor } from "../testing/engine-fixture.ts";
import { Runner, shell } from "../testing/runner.ts";
import { healthPlan, nextHealth } from "./health-monitor.ts";

const MILLISECOND = 1e6;
const probe = (exitCode: number) => ({ start: 0, end: 1, exitCode, output: "" });
const starting: HealthState = { status: "starting", failingStreak: 0, log: [] };

describe("the plan", () => {
  test("has Docker's defaults", () => {
    expect(healthPlan({ Healthcheck: { Test: ["CMD", "true"] } })).toEqual({
      ...{ command: ["true"], interval: 30_000, timeout: 30_000, startPeriod: 0, startInterval: 5_000, retries: 3 },
    });
  });

  test("runs a line with the image's shell", () => {
    const config = { Healthcheck: { Test: ["CMD-SHELL", "exit 0"] } };
    expect(healthPlan(config)?.command).toEqual(["/bin/sh", "-c", "exit 0"]);
    expect(healthPlan({ ...config, Shell: ["/bin/bash", "-ec"] })?.command).toEqual(["/bin/bash", "-ec", "exit 0"]);
  });

  test("times that no timer can hold are its longest, not at once", () => {
    const year = 365 * 24 * 3600 * 1000 * MILLISECOND;
    const config = { Healthcheck: { Test: ["CMD", "true"], Interval: year, Timeout: year, StartPeriod: year } };
    const longest = 2 ** 31 - 1;
    expect(healthPlan(config)).toMatchObject({ interval: longest, timeout: longest, startPeriod: year / MILLISECOND });
  });

  test("is none for NONE and for nothing", () => {
    expect(healthPlan({ Healthcheck: { Test: ["NONE"] } })).toBeUndefined();
    expect(healthPlan({})).toBeUndefined();
  });
});

describe("health", () => {
  const plan = healthPlan({ Healthcheck: { Test: ["CMD", "x"], Retries: 2, StartPeriod: 1000 * MILLISECOND } });
  if (plan === undefined) throw new Error("no plan");

  test("failures of the start period do not count, a success ends it", () => {
    expect(nextHealth(starting, probe(1), plan, 500)).toMatchObject({ status: "starting", failingStreak: 0 });
    expect(nextHealth(starting, probe(0), plan, 500)).toMatchObject({ status: "healthy" });
  });

  test("so many failures in a row are unhealthy, one success is healthy", () => {
    const once = nextHealth(starting, probe(1), plan, 2000);
    expect(once).toMatchObject({ status: "starting", failingStreak: 1 });
    const twice = nextHealth(once, probe(1), plan, 2000);
    expect(twice).toMatchObject({ status: "unhealthy", failingStreak: 2 });
    expect(nextHealth(twice, probe(0), plan, 2000)).toMatchObject({ status: "healthy", failingStreak: 0 });
  });

  test("the last five probes are kept", () => {
    let health = starting;
    for (let at = 0; at < 9; at++) health = nextHealth(health, probe(0), plan, 2000);
    expect(health.log).toHaveLength(5);
  });
});

describe("a running container", () => {
  let fixture: Fixture;
  const runner = new Runner(() => fixture);
  beforeAll(async () => {
    fixture = await openFixture({ supervisor: realSupervisor });
  });
  afterEach(() => runner.clear());
  afterAll(() => fixture[Symbol.asyncDispose]());

  function announced(id: string, action: string, times = 1): Promise<void> {
    return new Promise((resolve) => {
      let left = times;
      const stop = fixture.engine.events.subscribe((event) => {
        if (event.id !== id || event.action !== action || --left > 0) return;
        stop();
        resolve();
      });
    });
  }

  const check = (Test: string[], Timeout = 5000) => ({
    Healthcheck: { Test, Interval: 50 * MILLISECOND, Retries: 1, Timeout: Timeout * MILLISECOND },
  });
  const stateOf = async (id: string) => (await fixture.engine.containers.inspect(id)).container.state;

  test("that fails its check is ended and started again by on-unhealthy, so often and no more", async () => {
    const script = "trap 'exit 0' TERM; while :; do sleep 0.02; done";
    const id = await runner.up(
      shell(script),
      { RestartPolicy: { Name: "on-unhealthy", MaximumRetryCount: 2 } },
      check(["CMD", "false"]),
    );
    await announced(id, "health_status: unhealthy", 3);
    await fixture.engine.idle();
    expect(await stateOf(id)).toMatchObject({
      status: "running",
      restartCount: 2,
      health: { status: "unhealthy", failingStreak: 1 },
    });
  });

  test("whose check takes too long has it killed, and is told so", async () => {
    const id = await runner.up(["sleep", "60"], {}, check(["CMD", "sleep", "30"], 100));
    await announced(id, "health_status: unhealthy");
    const { health } = await stateOf(id);
    expect(health?.log[0]).toMatchObject({ exitCode: -1, output: "Health check exceeded timeout (0.1s)" });
    expect((await runner.exec(id, "ps -o args | grep -c '[s]leep 30' || true")).stdout.trim()).toBe("0");
  });

  test("is not watched with NONE", async () => {
    const id = await runner.up(["sleep", "60"], {}, { Healthcheck: { Test: ["NONE"] } });
    expect((await stateOf(id)).health).toBeUndefined();
  });

  test("times below a millisecond are refused", async () => {
    const { containers } = fixture.engine;
    const config = { Image: "slipway/base", Cmd: ["true"], Healthcheck: { Test: ["CMD", "x"], Interval: 5 } };
    await expect(containers.create({ config, hostConfig: {}, networks: {} })).rejects.toThrow(
      "Interval in Healthcheck cannot be less than 1ms",
    );
  });
});
