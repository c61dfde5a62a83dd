import { describe, expect, test } from "bun:test";
import type { StatsSample } from "../backend.ts";
import { fakeBackends } from "../testing/fake-backends.ts";
import { withServer } from "../testing/with-server.ts";
import { statsDocument } from "./stats.ts";

function sample(at: number, over: Partial<StatsSample> = {}): StatsSample {
  return {
    id: "1",
    name: "web",
    cgroupVersion: 1,
    usage: {
      memory: { usage: 5000, inactiveFile: 10, limit: undefined, maxUsage: 6000, stats: { cache: 1 }, failures: 0 },
      cpu: {
        ...{ total: at * 100, user: at * 60, system: at * 40, perCpu: [at * 70, at * 30] },
        throttling: { periods: 4, throttledPeriods: 2, throttledTime: 7 },
      },
      pids: { current: 3, limit: 50 },
      blockIo: [
        { major: 8, minor: 0, op: "read", bytes: 10, operations: 1 },
        { major: 8, minor: 0, op: "write", bytes: 20, operations: 2 },
      ],
      ...{ time: BigInt(at) * 1_000_000_000n, systemCpu: at * 1000, onlineCpus: 2, machineMemory: 8000 },
      interfaces: [
        {
          name: "eth0",
          received: { bytes: 1, packets: 2, errors: 3, dropped: 4 },
          sent: { bytes: 5, packets: 6, errors: 7, dropped: 8 },
        },
      ],
    },
    ...over,
  };
}

describe("a document of stats", () => {
  test("has the measurement and the one before, from which clients take the difference", () => {
    const document = statsDocument(sample(2), sample(1), 44);
    expect(document).toMatchObject({
      name: "/web",
      read: "1970-01-01T00:00:02.000000000Z",
      preread: "1970-01-01T00:00:01.000000000Z",
      cpu_stats: { cpu_usage: { total_usage: 200, percpu_usage: [140, 60] }, system_cpu_usage: 2000, online_cpus: 2 },
      precpu_stats: { cpu_usage: { total_usage: 100 }, system_cpu_usage: 1000 },
      pids_stats: { current: 3, limit: 50 },
      memory_stats: { usage: 5000, max_usage: 6000, limit: 8000, stats: { cache: 1 } },
      networks: {
        eth0: {
          ...{ rx_bytes: 1, rx_packets: 2, rx_errors: 3, rx_dropped: 4 },
          ...{ tx_bytes: 5, tx_packets: 6, tx_errors: 7, tx_dropped: 8 },
        },
      },
    });
  });

  test.each([
    [1, "Read", "Write"],
    [2, "read", "write"],
  ] as const)("calls block operations as version %i of cgroups does", (cgroupVersion, read, write) => {
    const { blkio_stats } = statsDocument(sample(1, { cgroupVersion }), undefined, 44);
    expect(blkio_stats).toMatchObject({
      io_service_bytes_recursive: [
        { major: 8, minor: 0, op: read, value: 10 },
        { major: 8, minor: 0, op: write, value: 20 },
      ],
      io_serviced_recursive: [
        { op: read, value: 1 },
        { op: write, value: 2 },
      ],
    });
  });

  test("of a container that does not run has zeroes and no networks", () => {
    const { usage: _, ...stopped } = sample(1);
    const document = statsDocument(stopped, undefined, 44);
    expect(document).toMatchObject({
      read: "0001-01-01T00:00:00Z",
      cpu_stats: { cpu_usage: { total_usage: 0 } },
      memory_stats: {},
      pids_stats: {},
    });
    expect(document).not.toHaveProperty("networks");
  });
});

describe("GET /containers/{id}/stats", () => {
  async function ask(query: string): Promise<{ readonly lines: Record<string, unknown>[]; readonly asked: number }> {
    let asked = 0;
    const stats = async () =>
      (async function* () {
        for (let at = 1; at <= 3; at++) {
          asked = at;
          yield sample(at);
        }
      })();
    let lines: Record<string, unknown>[] = [];
    await withServer(fakeBackends({ containers: { stats } }), async ({ request }) => {
      const text = await (await request(`/v1.44/containers/web/stats${query}`)).text();
      lines = text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    });
    return { lines, asked };
  }

  test("streams every measurement with the one before", async () => {
    const { lines } = await ask("");
    expect(lines.map(({ preread }) => preread)).toEqual([
      "0001-01-01T00:00:00Z",
      "1970-01-01T00:00:01.000000000Z",
      "1970-01-01T00:00:02.000000000Z",
    ]);
  });

  test("without a stream answers with the second, one-shot with the first", async () => {
    expect(await ask("?stream=0")).toMatchObject({ asked: 2, lines: [{ preread: "1970-01-01T00:00:01.000000000Z" }] });
    expect(await ask("?stream=0&one-shot=1")).toMatchObject({ asked: 1, lines: [{ preread: "0001-01-01T00:00:00Z" }] });
  });
});
