import { ApiError, ExitError } from "../../errors.ts";
import { atLeast, command } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { parseRestart } from "../../notation/device.ts";
import { segment } from "../each.ts";

export const update = command({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  args: atLeast(1),
  flags: {
    "blkio-weight": flag.uint("Weight of block I/O, 10 to 1000, or 0 for none", { type: "uint16" }),
    "cpu-period": flag.int("Period of the CPU scheduler in microseconds"),
    "cpu-quota": flag.int("CPU time in each period in microseconds"),
    "cpu-rt-period": flag.int("Period of the real-time scheduler in microseconds"),
    "cpu-rt-runtime": flag.int("Real-time CPU time in each period in microseconds"),
    "cpu-shares": flag.int("Weight of the CPU time", { short: "c" }),
    cpus: flag.decimal("Number of CPUs"),
    "cpuset-cpus": flag.string("CPUs to run on (0-3, 0,1)"),
    "cpuset-mems": flag.string("Memory nodes to use (0-3, 0,1)"),
    "kernel-memory": flag.bytes("Not used any more", { hidden: true }),
    memory: flag.bytes("Memory limit", { short: "m" }),
    "memory-reservation": flag.bytes("Memory to reclaim down to when it is short"),
    "memory-swap": flag.bytes("Limit of memory and swap together; -1 for no limit of swap", { unlimited: true }),
    "pids-limit": flag.int("Number of processes; -1 for no limit"),
    restart: flag.string(
      "What to do at the container's exit: no, always, unless-stopped, on-failure[:n], on-unhealthy[:n]",
      {
        check: parseRestart,
      },
    ),
  },
  examples: [
    ["slipway update --memory 512m --memory-swap 1g web", "More memory, at once"],
    ["slipway update --restart unless-stopped web db", "Another restart policy for two containers"],
  ],
  async run({ flags, given, args, session }) {
    if (!UPDATES.some((name) => given(name))) {
      throw new ExitError(1, "you must provide one or more flags when using this command");
    }
    const limits = {
      BlkioWeight: flags["blkio-weight"],
      CpuPeriod: flags["cpu-period"],
      CpuQuota: flags["cpu-quota"],
      CpuRealtimePeriod: flags["cpu-rt-period"],
      CpuRealtimeRuntime: flags["cpu-rt-runtime"],
      CpuShares: flags["cpu-shares"],
      CpusetCpus: flags["cpuset-cpus"],
      CpusetMems: flags["cpuset-mems"],
      Memory: flags.memory,
      MemoryReservation: flags["memory-reservation"],
      MemorySwap: flags["memory-swap"],
      NanoCpus: flags.cpus,
      ...(flags["pids-limit"] !== 0 && { PidsLimit: flags["pids-limit"] }),
      ...(given("restart") && { RestartPolicy: parseRestart(flags.restart) }),
    };
    const client = await session.client();
    const { stdout, stderr } = session.io;
    const warnings: string[] = [];
    const failures: string[] = [];
    for (const name of args) {
      try {
        const path = `/containers/${segment(name)}/update`;
        const answer = await client.json<{ Warnings?: string[] | null }>("POST", path, { json: limits });
        stdout.write(`${name}\n`);
        warnings.push(...(answer.Warnings ?? []));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        failures.push(error.message);
      }
    }
    for (const warning of warnings) stdout.write(`${warning}\n`);
    if (failures.length === 0) return 0;
    await stdout.flush();
    stderr.write(`${failures.join("\n")}\n`);
    return 1;
  },
});

const UPDATES = [
  "blkio-weight",
  "cpu-period",
  "cpu-quota",
  "cpu-rt-period",
  "cpu-rt-runtime",
  "cpu-shares",
  "cpus",
  "cpuset-cpus",
  "cpuset-mems",
  "kernel-memory",
  "memory",
  "memory-reservation",
  "memory-swap",
  "pids-limit",
  "restart",
] as const;
