import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { BASE, Engine, type Output, run } from "./harness.ts";

// The flags of `docker run` with Docker's own client: what a container sees of each, or the words that refuse it.
let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

const docker = (...argv: string[]): Promise<Output> =>
  run(["docker", ...argv], { env: { DOCKER_HOST: `unix://${engine.socket}` } });

/** `flags` as one line; the script runs in the container. */
async function inside(flags: string, script: string): Promise<string> {
  const { code, stdout, stderr } = await docker("run", "--rm", ...flags.split(" "), BASE, "sh", "-c", script);
  if (code !== 0) throw new Error(`docker run ${flags} ended with ${code}: ${stderr}`);
  return stdout.trimEnd();
}

const unified = existsSync("/sys/fs/cgroup/cgroup.controllers");
const G = "/sys/fs/cgroup";

describe.skipIf(unified)("limits on cgroup version 1", () => {
  test.each([
    [
      "-m 64m --memory-swap 128m --memory-reservation 32m --memory-swappiness 10",
      `cd ${G}/memory; cat memory.limit_in_bytes memory.memsw.limit_in_bytes memory.soft_limit_in_bytes memory.swappiness`,
      "67108864\n134217728\n33554432\n10",
    ],
    ["-m 64m --oom-kill-disable", `head -1 ${G}/memory/memory.oom_control`, "oom_kill_disable 1"],
    [
      "--cpu-shares 512 --cpu-period 50000 --cpu-quota 25000 --cpuset-cpus 0 --cpuset-mems 0",
      `cd ${G}; cat cpu/cpu.shares cpu/cpu.cfs_period_us cpu/cpu.cfs_quota_us cpuset/cpuset.cpus cpuset/cpuset.mems`,
      "512\n50000\n25000\n0\n0",
    ],
    ["--cpus 1.5 --pids-limit 77", `cat ${G}/cpu/cpu.cfs_quota_us ${G}/pids/pids.max`, "150000\n77"],
  ])("%s", async (flags, script, expected) => {
    expect(await inside(flags, script)).toBe(expected);
  });
});

describe("what a container sees", () => {
  test.each([
    ["--oom-score-adj 500", "cat /proc/self/oom_score_adj", "500"],
    ["--ulimit nofile=100:200 --ulimit core=0", "ulimit -Sn; ulimit -Hn; ulimit -c", "100\n200\n0"],
    ["--cap-drop ALL --cap-add CAP_CHOWN", "grep CapEff /proc/self/status", "CapEff:\t0000000000000001"],
    ["--security-opt no-new-privileges", "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1"],
    ["--security-opt seccomp=unconfined", "grep Seccomp: /proc/self/status", "Seccomp:\t0"],
    ["--security-opt systempaths=unconfined", 'mount | grep -c " /proc/"; true', "0"],
    ["--security-opt label=disable", "echo ok", "ok"],
    ["--read-only --tmpfs /t:size=1m,uid=5", "touch /x 2>/dev/null || echo closed; stat -c %u /t", "closed\n5"],
    ["--shm-size 8m", "df -k /dev/shm | awk 'END { print $2 }'", "8192"],
    ["--init", "cat /proc/1/comm", "docker-init"],
    ["-u www-data:tty --group-add 77", "id -u; id -g; id -G", "33\n5\n5 77"],
    ["--sysctl net.core.somaxconn=99", "cat /proc/sys/net/core/somaxconn", "99"],
    ["--cgroupns private", "grep -vc ':/$' /proc/self/cgroup; true", "0"],
    ["--domainname ex.org -h box", "hostname; cat /proc/sys/kernel/domainname", "box\nex.org"],
    ["--log-driver local", "echo local", "local"],
    ["--userns host --runtime runc --annotation a=b --isolation default", "echo ok", "ok"],
    [`--mount type=image,source=${BASE},dst=/img,image-subpath=etc`, "head -c 4 /img/passwd", "root"],
    ["--mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700", "stat -c %a /t", "700"],
  ])("%s", async (flags, script, expected) => {
    expect(await inside(flags, script)).toBe(expected);
  });

  test("-v with a missing source makes it", async () => {
    const made = join(engine.root, "made");
    await inside(`-v ${made}/a:/x`, "true");
    expect(existsSync(join(made, "a"))).toBe(true);
  });

  test("--volumes-from takes over what another mounts, also read-only", async () => {
    const source = join(engine.root, "from");
    mkdirSync(source);
    await docker("create", "--name", "donor", "-v", `${source}:/d`, BASE, "true");
    expect(await inside("--volumes-from donor", "touch /d/x && echo written")).toBe("written");
    expect(await inside("--volumes-from donor:ro", "touch /d/y 2>/dev/null || echo closed")).toBe("closed");
    await docker("rm", "donor");
  });
});

test.each([
  ["--memory 1m", "Minimum memory limit allowed is 6MB"],
  ["--cpuset-cpus 900", "Requested CPUs are not available - requested 900, available:"],
  ["--gpus all", 'could not select device driver "" with capabilities: [[gpu]]'],
  ["-u nobody2", "unable to find user nobody2: no matching entries in passwd file"],
  ["--network host --sysctl net.core.somaxconn=9", 'sysctl "net.core.somaxconn" not allowed in host network namespace'],
  ["--storage-opt size=1g", "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"],
  ["--runtime foo", "unknown or invalid runtime name: foo"],
  ["--isolation hyperv", "linux only supports 'default'"],
  ["--log-driver syslog", "logger: no log driver named 'syslog' is registered"],
  ["--volume-driver foo -v xx:/x", 'error looking up volume plugin foo: plugin "foo" not found'],
  ["--mount type=npipe,src=x,dst=/x", "mount type 'npipe' is not supported"],
  ["--mount type=bind,src=/nonesuch,dst=/x", "bind source path does not exist: /nonesuch"],
  ["--stop-signal FOO", "invalid signal: FOO"],
  ["--health-cmd x --health-interval 5ns", "Interval in Healthcheck cannot be less than 1ms"],
  ["--cap-add FLY", "FLY"],
])("%s is refused with 125", async (flags, message) => {
  const { code, stderr } = await docker("run", "--rm", ...flags.split(" "), BASE, "true");
  expect(stderr).toContain(message);
  expect(code).toBe(125);
});

test.each([
  [["sh", "-c", "exit 3"], 3],
  [["nonesuch"], 127],
  [["/etc/passwd"], 126],
] as const)("%j ends with %i", async (command, code) => {
  expect((await docker("run", "--rm", BASE, ...command)).code).toBe(code);
});

test("update changes a stopped container too, for its next start", async () => {
  await docker("create", "--name", "later", BASE, "sleep", "100");
  expect((await docker("update", "-m", "64m", "--pids-limit", "50", "--restart", "on-unhealthy:2", "later")).code).toBe(
    0,
  );
  const format = "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.RestartPolicy.Name}}";
  expect((await docker("inspect", "-f", format, "later")).stdout).toBe("67108864 50 on-unhealthy\n");
  await docker("start", "later");
  const file = unified ? `${G}/pids.max` : `${G}/pids/pids.max`;
  expect((await docker("exec", "later", "cat", file)).stdout).toBe("50\n");
  await docker("rm", "-f", "later");
});

test("volumes with options, in use, idempotent, pruned", async () => {
  const create = ["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o"];
  for (let twice = 0; twice < 2; twice++) expect((await docker(...create, "o=size=2m", "tv")).stdout).toBe("tv\n");
  expect((await docker(...create, "o=size=3m", "tv")).stderr).toContain("already exists with other options");
  expect(await inside("-v tv:/x", "df -k /x | awk 'END { print $2 }'")).toBe("2048");
  const id = (await docker("create", "-v", "tv:/x", BASE, "true")).stdout.trim();
  expect((await docker("volume", "rm", "tv")).stderr).toContain(`remove tv: volume is in use - [${id}]`);
  await docker("rm", id);
  expect((await docker("volume", "prune", "-f")).stdout).not.toContain("tv");
  expect((await docker("volume", "prune", "-af")).stdout).toContain("tv");
});
