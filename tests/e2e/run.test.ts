import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BASE, Engine } from "./harness.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

const run = (...argv: string[]) => engine.slipway(["run", "--rm", "--network", "none", ...argv]);

describe("exit codes", () => {
  test.each([
    ["the command's own", ["sh", "-c", "exit 42"], 42],
    ["127 for a command that is not there", ["no-such-command"], 127],
    ["126 for one that cannot be executed", ["/etc/passwd"], 126],
    ["137 for one that was killed", ["sh", "-c", "kill -9 $$"], 137],
    ["143 for one that was terminated", ["sh", "-c", "kill -TERM $$; sleep 5"], 143],
  ])("run ends with %s", async (_, command, code) => {
    // The shell is not PID 1 of the container: PID 1 ignores signals that it has no handler for.
    const output = await run("--init=false", "--pid", "host", BASE, ...command);
    expect(output.code).toBe(code as number);
  });

  test("125 when the engine refuses", async () => {
    const output = await run("--memory", "1k", BASE, "true");
    expect(output.code).toBe(125);
    expect(output.stderr.toLowerCase()).toContain("memory");
  });

  test("125 for an unknown flag, which names the nearest one", async () => {
    const output = await run("--nmae", "x", BASE, "true");
    expect(output.code).toBe(125);
    expect(output.stderr).toContain("--name");
  });

  test("a failed start leaves no container behind with --rm", async () => {
    await run("--name", "never-started", BASE, "no-such-command");
    expect(await engine.ok("ps", "-aq", "--filter", "name=never-started")).toBe("");
  });
});

describe("streams", () => {
  test("standard output and standard error stay apart", async () => {
    const output = await run(BASE, "sh", "-c", "echo out; echo err >&2");
    expect(output).toEqual({ code: 0, stdout: "out\n", stderr: "err\n" });
  });

  test("standard input reaches the container with -i, and its end too", async () => {
    const output = await engine.slipway(["run", "--rm", "-i", "--network", "none", BASE, "wc", "-c"], {
      stdin: "x".repeat(200_000),
    });
    expect(output.stdout.trim()).toBe("200000");
  });

  test("output that follows the end of input is not lost", async () => {
    const output = await engine.slipway(
      ["run", "--rm", "-i", "--network", "none", BASE, "sh", "-c", "cat; echo after"],
      { stdin: "before\n" },
    );
    expect(output.stdout).toBe("before\nafter\n");
  });

  test("ten megabytes arrive complete", async () => {
    const output = await run(BASE, "sh", "-c", "yes 0123456789abcde | head -c 10000000");
    expect(output.stdout.length).toBe(10_000_000);
  });

  test("-t gives a terminal", async () => {
    const output = await run("-t", BASE, "sh", "-c", "test -t 1 && echo terminal");
    expect(output.stdout).toBe("terminal\r\n");
  });
});

describe("what the container is given", () => {
  test("environment, host name, working directory and user", async () => {
    const output = await run(
      "-e",
      "A=1",
      "-e",
      "B=two words",
      "-h",
      "box",
      "-w",
      "/srv/new",
      "-u",
      "nobody",
      BASE,
      "sh",
      "-c",
      "echo $A $B; hostname; pwd; id -un",
    );
    expect(output.stdout).toBe("1 two words\nbox\n/srv/new\nnobody\n");
  });

  test("the default capabilities, and no more", async () => {
    const output = await run(BASE, "grep", "CapEff", "/proc/self/status");
    expect(output.stdout).toContain("00000000a80425fb");
  });

  test("--cap-drop ALL --cap-add CHOWN", async () => {
    const output = await run("--cap-drop", "ALL", "--cap-add", "CHOWN", BASE, "grep", "CapEff", "/proc/self/status");
    expect(output.stdout).toContain("0000000000000001");
  });

  test("a seccomp filter", async () => {
    const output = await run(BASE, "grep", "Seccomp:", "/proc/self/status");
    expect(output.stdout).toMatch(/Seccomp:\s+2/);
  });

  test("a root that cannot be written with --read-only, and a tmpfs that can", async () => {
    const output = await run("--read-only", "--tmpfs", "/scratch", BASE, "sh", "-c", "touch /scratch/x && touch /x");
    expect(output.code).toBe(1);
    expect(output.stderr).toContain("Read-only file system");
  });

  test("bind mounts, also read-only", async () => {
    const directory = join(engine.root, "bound");
    mkdirSync(directory);
    writeFileSync(join(directory, "in"), "from the host");
    const output = await run(
      "-v",
      `${directory}:/rw`,
      "-v",
      `${directory}:/ro:ro`,
      BASE,
      "sh",
      "-c",
      "cat /ro/in > /rw/out; touch /ro/x",
    );
    expect(output.stderr).toContain("Read-only file system");
    expect(readFileSync(join(directory, "out"), "utf8")).toBe("from the host");
  });

  test("a missing bind source with --mount is refused by name", async () => {
    const output = await run("--mount", "type=bind,src=/no/such/place,dst=/x", BASE, "true");
    expect(output.code).toBe(125);
    expect(output.stderr).toContain("/no/such/place");
  });

  test("a named volume keeps its files", async () => {
    await run("-v", "kept:/data", BASE, "sh", "-c", "echo kept > /data/file");
    expect((await run("-v", "kept:/data", BASE, "cat", "/data/file")).stdout).toBe("kept\n");
  });

  test("limits", async () => {
    const output = await run(
      "--memory",
      "64m",
      "--pids-limit",
      "50",
      "--shm-size",
      "1m",
      BASE,
      "sh",
      "-c",
      "df -k /dev/shm | tail -1 | awk '{print $2}'",
    );
    expect(output.stdout).toBe("1024\n");
  });
});

describe("life", () => {
  test("a detached container is listed, logged, stopped, started again and removed", async () => {
    const id = await engine.ok(
      "run",
      "-d",
      "--name",
      "life",
      "--network",
      "none",
      BASE,
      "sh",
      "-c",
      "trap 'echo bye; exit 3' TERM; echo hello; while :; do sleep 0.05; done",
    );
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(await engine.ok("ps", "--format", "{{.Names}} {{.Image}} {{.State}}")).toBe(`life ${BASE} running`);
    await untilLogged("life", "hello");
    expect(await engine.ok("stop", "life")).toBe("life");
    expect(await engine.ok("logs", "life")).toBe("hello\nbye");
    expect(await engine.ok("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "life")).toBe("exited 3");
    expect(await engine.ok("ps", "-a", "--format", "{{.Status}}")).toMatch(/^Exited \(3\) /);
    await engine.ok("start", "life");
    expect(await engine.ok("kill", "life")).toBe("life");
    expect(await engine.ok("wait", "life")).toBe("137");
    expect(await engine.ok("rm", "life")).toBe("life");
    expect((await engine.slipway(["inspect", "life"])).code).toBe(1);
  });

  test("exec runs beside the main process, with its own exit code", async () => {
    await engine.ok("run", "-d", "--name", "host", "--network", "none", BASE, "sleep", "1000");
    expect(await engine.ok("exec", "-e", "X=1", "-w", "/tmp", "host", "sh", "-c", "echo $X; pwd")).toBe("1\n/tmp");
    expect((await engine.slipway(["exec", "host", "sh", "-c", "exit 7"])).code).toBe(7);
    expect((await engine.slipway(["exec", "host", "no-such-command"])).code).toBe(127);
    expect((await engine.slipway(["exec", "-i", "host", "cat"], { stdin: "through" })).stdout).toBe("through");
    await engine.ok("rm", "-f", "host");
    const gone = await engine.slipway(["exec", "host", "true"]);
    expect(gone.code).toBe(1);
    expect(gone.stderr).toContain("No such container: host");
  });

  test("logs -f ends with the container, --tail and -t select", async () => {
    await engine.ok(
      "run",
      "-d",
      "--name",
      "talker",
      "--network",
      "none",
      BASE,
      "sh",
      "-c",
      "for i in 1 2 3; do echo $i; sleep 0.1; done",
    );
    expect(await engine.ok("logs", "-f", "talker")).toBe("1\n2\n3");
    expect(await engine.ok("logs", "--tail", "1", "talker")).toBe("3");
    expect(await engine.ok("logs", "-t", "--tail", "1", "talker")).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z 3$/);
    await engine.ok("rm", "talker");
  });

  test("a name is taken once", async () => {
    await engine.ok("create", "--name", "taken", "--network", "none", BASE);
    const output = await engine.slipway(["create", "--name", "taken", BASE]);
    expect(output.code).toBe(1);
    expect(output.stderr).toContain('The container name "/taken" is already in use');
    await engine.ok("rm", "taken");
  });

  test("--restart on-failure tries again and gives up", async () => {
    await engine.ok(
      "run",
      "-d",
      "--name",
      "stubborn",
      "--restart",
      "on-failure:2",
      "--network",
      "none",
      BASE,
      "sh",
      "-c",
      "echo try; exit 1",
    );
    await engine.ok("wait", "stubborn");
    await until(
      async () =>
        (await engine.ok("inspect", "--format", "{{.State.Status}} {{.RestartCount}}", "stubborn")) === "exited 2",
    );
    expect(await engine.ok("logs", "stubborn")).toBe("try\ntry\ntry");
    await engine.ok("rm", "stubborn");
  });
});

describe("network", () => {
  test("a published port answers on loopback and is free again afterwards", async () => {
    await engine.ok(
      "run",
      "-d",
      "--name",
      "web",
      "-p",
      "127.0.0.1:18477:80",
      BASE,
      "sh",
      "-c",
      "echo hello > /index.html; httpd -f -p 80 -h /",
    );
    await until(async () => (await fetch("http://127.0.0.1:18477/index.html").catch(() => undefined))?.ok === true);
    expect(await (await fetch("http://127.0.0.1:18477/index.html")).text()).toBe("hello\n");
    expect(await engine.ok("port", "web")).toBe("80/tcp -> 127.0.0.1:18477");
    const second = await engine.slipway(["run", "--rm", "-p", "127.0.0.1:18477:80", BASE, "true"]);
    expect(second.code).toBe(125);
    expect(second.stderr).toContain("18477");
    await engine.ok("rm", "-f", "web");
    expect(await engine.ok("run", "--rm", "-p", "127.0.0.1:18477:80", BASE, "echo", "free")).toBe("free");
  });

  test("containers of the default network reach each other", async () => {
    await engine.ok("run", "-d", "--name", "peer", BASE, "sh", "-c", "echo peer > /index.html; httpd -f -p 80 -h /");
    const address = await engine.ok("inspect", "--format", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "peer");
    const fetched = await engine.ok(
      "run",
      "--rm",
      BASE,
      "sh",
      "-c",
      `for i in 1 2 3 4 5 6 7 8 9; do ${get(address)} && exit; sleep 0.1; done`,
    );
    expect(fetched).toBe("peer");
    expect(
      await engine.ok(
        "run",
        "--rm",
        "--network",
        "container:peer",
        BASE,
        "wget",
        "-qO-",
        "http://127.0.0.1/index.html",
      ),
    ).toBe("peer");
    await engine.ok("rm", "-f", "peer");
  });

  test("--network none has loopback and nothing else", async () => {
    expect((await run(BASE, "ls", "/sys/class/net")).stdout).toBe("lo\n");
  });

  test("--network host shares the host's interfaces", async () => {
    const interfaces = await engine.ok("run", "--rm", "--network", "host", BASE, "cat", "/proc/net/dev");
    const device = (line: string) => line.split(":")[0]?.trim();
    const host = readFileSync("/proc/net/dev", "utf8").trim().split("\n").slice(2).map(device);
    expect(interfaces.split("\n").slice(2).map(device)).toEqual(
      expect.arrayContaining(host.filter((name) => !name?.startsWith("veth"))),
    );
  });
});

describe("a daemon that ends", () => {
  test.each(["SIGTERM", "SIGKILL"] as const)(
    "by %s takes no container and no line of output with it",
    async (signal) => {
      await engine.ok(
        "run",
        "-d",
        "--name",
        "survivor",
        "--network",
        "none",
        BASE,
        "sh",
        "-c",
        "i=0; while [ $i -lt 20 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; sleep 1000",
      );
      await engine.stopDaemon(signal);
      await engine.startDaemon();
      await untilLogged("survivor", "line 19");
      const lines = (await engine.ok("logs", "survivor")).split("\n");
      expect(lines).toEqual(Array.from({ length: 20 }, (_, n) => `line ${n}`));
      expect(await engine.ok("exec", "survivor", "echo", "alive")).toBe("alive");
      await engine.ok("rm", "-f", "survivor");
    },
  );

  test("hears of the exits that it missed", async () => {
    await engine.ok("run", "-d", "--name", "brief", "--network", "none", BASE, "sh", "-c", "sleep 0.3; exit 9");
    await engine.stopDaemon("SIGKILL");
    await Bun.sleep(600); // The container's own clock: it must end while no daemon is there.
    await engine.startDaemon();
    expect(await engine.ok("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "brief")).toBe("exited 9");
    await engine.ok("rm", "brief");
  });
});

/** The last line of a page, by nc: Debian's static wget does not survive a look-up of names. */
const get = (address: string) =>
  `printf 'GET /index.html HTTP/1.0\\r\\n\\r\\n' | nc ${address} 80 | tail -n 1 | grep .`;

async function untilLogged(name: string, text: string): Promise<void> {
  await until(async () => (await engine.ok("logs", name)).includes(text));
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`did not happen within 15 s: ${condition}`);
    await Bun.sleep(20);
  }
}
