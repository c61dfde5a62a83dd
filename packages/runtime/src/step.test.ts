import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { errorCode, type SlipwayError } from "@slipway/base";
import { Cgroup } from "./cgroup.ts";
import type { SpecInput } from "./faces.ts";
import { installInit } from "./init/install-init.ts";
import { removeSteps, runStep } from "./step.ts";
import { makeRoot, specOf } from "./trial.fixture.ts";

const directory = mkdtempSync("/run/step-");
const root = makeRoot(directory);
let count = 0;

afterAll(() => {
  new Cgroup("/slipway-trial").remove();
  rmSync(directory, { recursive: true });
});

function prepare(args: readonly string[], over: Partial<SpecInput> = {}) {
  const id = `step-${process.pid}-${count++}`;
  const bundle = join(directory, "bundles", id);
  mkdirSync(bundle, { recursive: true });
  return { bundle, spec: specOf(id, root, args, over) };
}

async function step(args: readonly string[], over: Partial<SpecInput> = {}, signal?: AbortSignal) {
  const request = prepare(args, over);
  const out = { stdout: "", stderr: "" };
  const result = await runStep({
    ...request,
    onOutput: (stream, data) => {
      out[stream] += Buffer.from(data).toString();
    },
    ...(signal === undefined ? {} : { signal }),
  });
  expect(leftovers(request)).toEqual([]);
  return { ...out, ...result };
}

function leftovers({ bundle, spec }: { bundle: string; spec: SpecInput }): string[] {
  const state = existsSync(join(bundle, "state")) ? readdirSync(join(bundle, "state")) : [];
  return [...state, ...new Cgroup(`/slipway-trial/${spec.id}`).directories()];
}

const shell = (script: string, over: Partial<SpecInput> = {}) => step(["sh", "-c", script], over);

describe("a step", () => {
  test("hands on output and exit code and leaves nothing", async () => {
    expect(await shell("echo out; echo err >&2; exit 3")).toEqual({ stdout: "out\n", stderr: "err\n", exitCode: 3 });
  });

  test("that a signal ends is 128 and its number", async () => {
    expect((await shell("sh -c 'kill -9 $$; true'; exit $?")).exitCode).toBe(137);
  });

  test("whose program does not exist says so and nothing else", async () => {
    const request = prepare(["nothing"]);
    let output = "";
    const failure = (await runStep({
      ...request,
      onOutput: (_stream, data) => {
        output += data;
      },
    }).catch((error: unknown) => error)) as SlipwayError;
    expect(failure.message).toContain('exec: "nothing": executable file not found in $PATH');
    expect(failure.details.exitCode).toBe(127);
    expect(output).toBe("");
    expect(leftovers(request)).toEqual([]);
  });

  test("that is cancelled has ended as a whole, and left nothing, when the promise is settled", async () => {
    for (const delay of [0, 10, 20, 60]) {
      const request = prepare(["sh", "-c", "trap '' TERM INT; sleep 1000 & sleep 1000"]);
      const running = runStep({ ...request, onOutput: () => {}, signal: AbortSignal.timeout(delay) });
      expect(errorCode(await running.catch((error: unknown) => error))).toMatch(/cancelled|deadline/);
      expect(leftovers(request)).toEqual([]);
    }
  });

  test("that a crash left behind is found and removed", async () => {
    const bundles = join(directory, "crashed");
    const request = prepare(["sleep", "1000"]);
    const bundle = join(bundles, "one");
    mkdirSync(bundle, { recursive: true });
    const controller = new AbortController();
    const running = runStep({ ...request, bundle, onOutput: () => {}, signal: controller.signal }).catch(() => {});
    while (!existsSync(join(bundle, "pid"))) await Bun.sleep(5);
    await removeSteps(bundles);
    expect(readdirSync(bundles)).toEqual([]);
    await running;
    expect(new Cgroup(`/slipway-trial/${request.spec.id}`).directories()).toEqual([]);
  });
});

describe("inside", () => {
  test("mounting and new namespaces are refused", async () => {
    expect((await shell("mount -t tmpfs none /tmp")).stderr).toContain("permission denied");
    // The kernel itself would allow a user namespace to anybody.
    expect((await shell("unshare -U true")).stderr).toContain("Operation not permitted");
    expect((await shell("grep Seccomp: /proc/self/status")).stdout).toBe("Seccomp:\t2\n");
  });

  test("a capability or an unconfined profile lifts that", async () => {
    expect((await shell("mount -t tmpfs none /tmp && echo ok", { capAdd: ["SYS_ADMIN"] })).stdout).toBe("ok\n");
    expect((await shell("grep Seccomp: /proc/self/status", { seccomp: "unconfined" })).stdout).toBe("Seccomp:\t0\n");
  });

  test("capabilities are dropped for good", async () => {
    const status = await shell("grep -E 'Cap(Eff|Bnd|Inh|Amb)' /proc/self/status");
    expect(status.stdout).toBe(
      "CapInh:\t0000000000000000\nCapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\n",
    );
    expect((await shell("chown 1 /tmp && echo ok", { capDrop: ["ALL"] })).stdout).toBe("");
  });

  test("the kernel's own files are masked or cannot be written", async () => {
    expect((await shell("head -c 1 /proc/kcore | wc -c")).stdout).toBe("0\n");
    expect((await shell("echo 1 > /proc/sys/vm/drop_caches")).stderr).toContain("Read-only file system");
    expect((await shell("echo x > /sys/kernel/x")).stderr).toContain("Read-only file system");
    expect((await shell("mknod /tmp/m b 8 0 && head -c 1 /tmp/m; rm /tmp/m")).stderr).toContain(
      "Operation not permitted",
    );
  });

  test("a user has its ids and groups", async () => {
    const user = { uid: 1000, gid: 1000, additionalGids: [7, 8], home: "/tmp" };
    expect((await shell("id -u; id -g; id -G", { user })).stdout).toBe("1000\n1000\n1000 7 8\n");
  });

  test("the root can be read-only, limits hold, and the name is its own", async () => {
    expect((await shell("touch /x", { readonlyRoot: true })).stderr).toContain("Read-only file system");
    const rlimits = [{ name: "nofile", soft: 77, hard: 88 }];
    expect((await shell("ulimit -n; hostname", { rlimits, hostname: "berth" })).stdout).toBe("77\nberth\n");
    expect((await shell("cat /proc/sys/kernel/domainname", { domainname: "example" })).stdout).toBe("example\n");
  });

  test("shared memory has its size", async () => {
    const { stdout } = await shell("df -k /dev/shm | tail -n 1", { shmSize: 1024 * 1024 });
    expect(stdout).toContain(" 1024 ");
  });

  describe("with an init", () => {
    const init = installInit(join(directory, "init"));

    test("it is the first process, and passes the exit code on", async () => {
      expect((await shell("cat /proc/1/comm", { init })).stdout).toBe("docker-init\n");
      expect(await shell("exit 7", { init })).toMatchObject({ exitCode: 7 });
      expect(await shell("kill -9 $$", { init })).toMatchObject({ exitCode: 137 });
    });

    test("orphans are collected", async () => {
      // The middle process ends at once: its child belongs to the first process then, and is a zombie until collected.
      const script = "(sleep 0.01 &) ; sleep 0.2; ps -o stat,comm | grep -c '^Z' || true";
      expect((await shell(script, { init })).stdout).toBe("0\n");
    });

    test("signals to it reach the program", async () => {
      const script = "trap 'echo got; exit 5' TERM; kill -TERM 1; while :; do sleep 0.01; done";
      expect(await shell(script, { init })).toMatchObject({ stdout: "got\n", exitCode: 5 });
    });

    test("a program that is not there is 127, one that cannot be run 126", async () => {
      expect(await step(["/nonesuch"], { init })).toMatchObject({ exitCode: 127 });
      expect(await step(["/proc/self/environ"], { init })).toMatchObject({ exitCode: 126 });
    });

    test("names are looked for in the container's PATH", async () => {
      expect(await step(["echo", "found"], { init })).toMatchObject({ stdout: "found\n", exitCode: 0 });
    });
  });

  test("the network's low ports are free for everybody", async () => {
    expect((await shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start")).stdout).toBe("0\n");
  });
});
