import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Cgroup, readCgroupAbilities } from "@slipway/runtime";
import { type Fixture, openFixture, realSupervisor } from "../testing/engine-fixture.ts";
import { Runner, shell } from "../testing/runner.ts";

let fixture: Fixture;
const runner = new Runner(() => fixture);
beforeAll(async () => {
  fixture = await openFixture({ supervisor: realSupervisor });
});
afterEach(() => runner.clear());
afterAll(() => fixture[Symbol.asyncDispose]());

const can = readCgroupAbilities();
const disk = readdirSync("/dev")
  .map((name) => `/dev/${name}`)
  .find((path) => /^\/dev\/(sd|vd|nvme\d+n|xvd)[a-z0-9]$/.test(path) && statSync(path).isBlockDevice());

function limitFile(id: string, controller: string, file: string): string {
  const cgroup = new Cgroup(`/slipway/${id}`);
  return readFileSync(join(cgroup.directory(controller), file), "latin1").trim();
}

test.skipIf(disk === undefined || !can.blockReadBps)(
  "rates of block devices hold from the start, and an update changes them while it runs",
  async () => {
    const rate = (Rate: number) => [{ Path: disk ?? "", Rate }];
    const id = await runner.up(["sleep", "60"], { BlkioDeviceReadBps: rate(1_048_576) });
    if (new Cgroup("/x").version === 2) {
      expect(limitFile(id, "", "io.max")).toContain("rbps=1048576");
      return;
    }
    expect(limitFile(id, "blkio", "blkio.throttle.read_bps_device")).toEndWith(" 1048576");
    await fixture.engine.containers.update(id, { BlkioDeviceReadBps: rate(2_097_152), BlkioDeviceWriteIOps: rate(9) });
    expect(limitFile(id, "blkio", "blkio.throttle.read_bps_device")).toEndWith(" 2097152");
    expect(limitFile(id, "blkio", "blkio.throttle.write_iops_device")).toEndWith(" 9");
    const { container } = await fixture.engine.containers.inspect(id);
    expect(container.hostConfig.BlkioDeviceReadBps).toEqual(rate(2_097_152));
  },
);

test.skipIf(!can.cpuRealtime)("real-time reaches the container through the groups above it", async () => {
  const id = await runner.up(["sleep", "60"], { CpuRealtimePeriod: 1_000_000, CpuRealtimeRuntime: 10_000 });
  expect(limitFile(id, "cpu", "cpu.rt_runtime_us")).toBe("10000");
});

test.skipIf(!existsSync("/dev/loop0"))("a rule lets a container open devices of that number", async () => {
  const script = "mknod /loop b 7 0 && : < /loop";
  expect((await runner.run(shell(script))).stderr).toContain("Operation not permitted");
  expect(await runner.run(shell(script), { DeviceCgroupRules: ["b 7:* r"] })).toMatchObject({ exitCode: 0 });
});

test("what this kernel cannot hold is discarded with a warning", async () => {
  const { warnings } = await fixture.engine.containers.create({
    config: { Image: "slipway/base", Cmd: ["true"] },
    hostConfig: { BlkioWeight: 300 },
    networks: {},
  });
  expect(warnings.length).toBe(can.blockWeight ? 0 : 1);
});

test("an init collects orphans, passes signals on and ends as the program does", async () => {
  const id = await runner.up(shell("trap 'exit 9' TERM; (sleep 0.01 &); while :; do sleep 0.05; done"), { Init: true });
  expect((await runner.exec(id, "cat /proc/1/comm")).stdout).toBe("docker-init\n");
  expect((await runner.exec(id, "sleep 0.2; ps -o stat | grep -c Z || true")).stdout.trim()).toBe("0");
  await fixture.engine.containers.stop(id, { timeout: 5 });
  expect((await fixture.engine.containers.inspect(id)).container.state.exitCode).toBe(9);
});
