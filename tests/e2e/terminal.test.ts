import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BASE, Engine, SLIPWAY } from "./harness.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

interface TerminalOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly columns?: number;
}

/** A program in a terminal of its own. */
class Terminal {
  readonly #child: Bun.Subprocess;
  readonly #waiting = new Set<() => void>();
  text = "";

  constructor(argv: readonly string[], { env = {}, columns = 80 }: TerminalOptions = {}) {
    this.#child = Bun.spawn([...argv], {
      env: { ...process.env, DOCKER_HOST: `unix://${engine.socket}`, TERM: "xterm", NO_COLOR: "", ...env },
      terminal: {
        cols: columns,
        rows: 24,
        data: (_, chunk) => {
          this.text += Buffer.from(chunk).toString("latin1");
          for (const wake of this.#waiting) wake();
        },
      },
    });
  }

  async until(expected: string | RegExp): Promise<void> {
    const found = () => (typeof expected === "string" ? this.text.includes(expected) : expected.test(this.text));
    const deadline = AbortSignal.timeout(10_000);
    const late = new Promise<void>((resolve) => deadline.addEventListener("abort", () => resolve()));
    while (!found()) {
      if (deadline.aborted || this.#child.exitCode !== null)
        throw new Error(`${deadline.aborted ? "" : "ended "}without ${expected}:\n${JSON.stringify(this.text)}`);
      const more = new Promise<void>((resolve) => this.#waiting.add(resolve));
      await Promise.race([more, late, this.#child.exited]);
    }
  }

  /** Forgets what was shown so far. */
  clear(): void {
    this.text = "";
  }

  type(text: string): void {
    this.#child.terminal?.write(text);
  }

  resize(columns: number, rows: number): void {
    this.#child.terminal?.resize(columns, rows);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The exit code; a death by a signal throws. */
  async ended(): Promise<number> {
    await this.#child.exited;
    if (this.#child.signalCode !== null) throw new Error(`killed by ${this.#child.signalCode}`);
    return this.#child.exitCode ?? -1;
  }
}

/** Our client in a terminal. */
const slipway = (...argv: string[]) => new Terminal([SLIPWAY, ...argv]);

const run = ["run", "--network", "none"];

test("a shell knows the terminal's size, also when it changes, and its exit code arrives", async () => {
  const terminal = slipway(...run, "--rm", "-it", BASE, "sh");
  await terminal.until("# ");
  terminal.type("stty size\n");
  await terminal.until("24 80");
  terminal.resize(132, 50);
  terminal.type("while [ \"$(stty size)\" != '50 132' ]; do :; done; exit 5\n");
  expect(await terminal.ended()).toBe(5);
}, 20_000);

test("a bare line feed of a program that draws on the screen stays one", async () => {
  const terminal = slipway(...run, "--rm", "-it", BASE, "sh", "-c", 'stty -opost; printf "a\\nb"');
  expect(await terminal.ended()).toBe(0);
  expect(terminal.text).toContain("a\nb");
});

test("the detach keys leave a run with 0 and an attach or exec with 1, as Docker's do", async () => {
  const first = slipway(...run, "--name", "left", "-it", BASE, "sh");
  await first.until("# ");
  first.type("\x10\x11");
  expect(await first.ended()).toBe(0);
  const again = slipway("attach", "left");
  again.type("echo $((40+2))\n");
  await again.until("42");
  again.type("\x10\x11");
  expect(await again.ended()).toBe(1);
  expect(again.text).toContain("read escape sequence");
  const exec = slipway("exec", "-it", "--detach-keys", "ctrl-a,d", "left", "sh");
  await exec.until("# ");
  exec.type("\x01d");
  expect(await exec.ended()).toBe(1);
  await engine.ok("rm", "-f", "left");
}, 20_000);

test("--cidfile holds the container's id", async () => {
  const file = join(engine.root, "cid");
  await engine.ok(...run, "--name", "named", "--cidfile", file, BASE, "true");
  expect(readFileSync(file, "utf8")).toBe(await engine.ok("inspect", "-f", "{{.Id}}", "named"));
  expect(await engine.ok("inspect", "-f", "{{.HostConfig.ContainerIDFile}}", "named")).toBe(file);
});

test("a run whose engine ends says so, and ends with 125", async () => {
  const run = engine.slipway(["run", "--name", "orphan", "--network", "none", BASE, "sh", "-c", "sleep 1000"]);
  while ((await engine.ok("ps", "-q", "-f", "name=orphan")) === "") await Bun.sleep(5);
  await engine.stopDaemon();
  const output = await run;
  expect(output.code).toBe(125);
  expect(output.stderr).toContain("error waiting for container: unexpected EOF");
  await engine.startDaemon();
  expect(await engine.ok("ps", "-q", "-f", "name=orphan")).not.toBe("");
  await engine.ok("rm", "-f", "orphan");
}, 20_000);

const INTERRUPT = "\x03";
const SUSPEND = "\x1a";

/** A container that says `ready` and lives; its name. */
async function living(name: string): Promise<string> {
  await engine.ok("run", "-d", "--name", name, "--network", "none", BASE, "sh", "-c", "echo ready; sleep 1000");
  return name;
}

describe("what is typed", () => {
  test("detach keys of config.json hold, and Docker's own go to the process then", async () => {
    const folder = join(engine.root, "keys");
    mkdirSync(folder);
    writeFileSync(join(folder, "config.json"), '{"detachKeys": "ctrl-e,e"}');
    const terminal = slipway("--config", folder, ...run, "--name", "keys", "-it", BASE, "sh");
    await terminal.until("# ");
    terminal.type("\x10\x11");
    terminal.type("echo $((40+2))\n");
    await terminal.until("42");
    terminal.type("\x05e");
    expect(await terminal.ended()).toBe(0);
    const exec = slipway("--config", folder, "exec", "-it", "keys", "sh");
    await exec.until("# ");
    exec.type("\x05e");
    expect(await exec.ended()).toBe(1);
    await engine.ok("rm", "-f", "keys");
  }, 20_000);

  test("an editor draws on the whole screen and saves", async () => {
    await living("edited");
    const terminal = slipway("exec", "-it", "edited", "vi", "/tmp/text");
    await terminal.until("\x1b[24;1H");
    terminal.type("ihello");
    await terminal.until("hello");
    terminal.clear();
    terminal.type("\x1b");
    // The editor waits a moment to tell the key from the beginning of a longer sequence.
    await terminal.until(/- \/tmp\/text.*\[Modified\]/);
    terminal.type(":wq\n");
    expect(await terminal.ended()).toBe(0);
    expect(await engine.ok("exec", "edited", "cat", "/tmp/text")).toBe("hello");
    await engine.ok("rm", "-f", "edited");
  }, 20_000);

  test("Ctrl-C reaches a process without a terminal, and one whose terminal we do not read", async () => {
    const script = "trap 'echo got; exit 9' INT; echo ready; while :; do sleep 0.05; done";
    for (const flags of [[], ["-i"], ["-t"], ["-it"]]) {
      const terminal = slipway(...run, "--rm", ...flags, BASE, "sh", "-c", script);
      await terminal.until("ready");
      terminal.type(INTERRUPT);
      expect(await terminal.ended()).toBe(9);
    }
  }, 30_000);

  test("the third Ctrl-C leaves a run whose process ignores it", async () => {
    const terminal = slipway(...run, "--name", "deaf", BASE, "sh", "-c", "trap '' INT; echo ready; sleep 1000");
    await terminal.until("ready");
    for (let n = 1; n <= 3; n++) {
      terminal.type(INTERRUPT);
      await terminal.until(new RegExp(`(\\^C){${n}}`));
      // Signals of one kind that come at once are one.
      await Bun.sleep(50);
    }
    expect(await terminal.ended()).toBe(1);
    expect(terminal.text).toContain("got 3 SIGTERM/SIGINTs, forcefully exiting");
    await engine.ok("rm", "-f", "deaf");
  }, 20_000);

  test("Ctrl-C ends logs -f, events, wait and stats with 130, and not by the signal itself", async () => {
    const name = await living("watched");
    for (const [argv, sign] of [
      [["logs", "-f", name], "ready"],
      [["events", "--since", "1h"], "start"],
      [["wait", name], ""],
      [["stats"], name],
    ] as const) {
      const terminal = slipway(...argv);
      await (sign === "" ? Bun.sleep(300) : terminal.until(sign));
      terminal.type(INTERRUPT);
      expect(await terminal.ended()).toBe(130);
    }
    const killed = slipway("logs", "-f", name);
    await killed.until("ready");
    killed.kill("SIGTERM");
    expect(await killed.ended()).toBe(143);
    await engine.ok("rm", "-f", name);
  }, 30_000);

  test("Ctrl-Z suspends logs -f in its shell, and belongs to the container's shell in run -it", async () => {
    const name = await living("suspended");
    const shell = new Terminal(["bash", "--norc", "-i"], { env: { PS1: "$ " } });
    await shell.until("$ ");
    shell.type(`${SLIPWAY} logs -f ${name}\n`);
    await shell.until("ready");
    shell.type(SUSPEND);
    await shell.until("Stopped");
    shell.clear();
    shell.type("fg\n");
    await shell.until(`logs -f ${name}\r\n`);
    shell.clear();
    shell.type(INTERRUPT);
    await shell.until("$ ");
    shell.type(`${SLIPWAY} exec -it ${name} sh\n`);
    await shell.until("# ");
    shell.type("sleep 500\n");
    await shell.until("sleep 500");
    await Bun.sleep(200);
    shell.type(SUSPEND);
    await shell.until("Stopped");
    shell.clear();
    shell.type("exit\nexit\n");
    await shell.until("$ ");
    shell.clear();
    shell.type("stty -a | grep -o -- '-*icanon'; exit 0\n");
    await shell.until(/[\r\n]icanon\r/);
    expect(await shell.ended()).toBe(0);
    await engine.ok("rm", "-f", name);
  }, 30_000);
});

describe("the terminal", () => {
  const modes = 'stty -a | grep -oE -- "-?(icanon|echo|isig|opost|icrnl)( |;|$)" | tr -d "\\n"; echo';
  const RESTORED = /icrnl *opost *isig *icanon *echo/;

  for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) {
    test(`is as before when ${signal} ends an exec -it`, async () => {
      const name = await living(`signalled-${signal.toLowerCase()}`);
      const script = `${SLIPWAY} exec -it ${name} sh & P=$!; echo pid $P.; wait $P; echo status $?; ${modes}`;
      // Without job control a shell does not repair what a child has left; and its background job reads the terminal.
      const shell = new Terminal(["sh", "-c", script.replace("sh & P=$!", "sh <&1 & P=$!")]);
      await shell.until("# ");
      const pid = Number(/pid (\d+)\./.exec(shell.text)?.[1]);
      process.kill(pid, signal);
      await shell.ended();
      expect(shell.text).toContain(`status ${{ SIGTERM: 143, SIGHUP: 129, SIGINT: 130 }[signal]}`);
      expect(shell.text).toMatch(RESTORED);
      await engine.ok("rm", "-f", name);
    }, 20_000);
  }

  test("is as before when the engine ends, and when the process does", async () => {
    const shell = new Terminal(["sh", "-c", `${SLIPWAY} ${run.join(" ")} --rm -it ${BASE} sh -c 'exit 4'; ${modes}`]);
    expect(await shell.ended()).toBe(0);
    expect(shell.text).toMatch(RESTORED);
    const name = await living("cut");
    const cut = new Terminal(["sh", "-c", `${SLIPWAY} exec -it ${name} sh; echo status $?; ${modes}`]);
    await cut.until("# ");
    await engine.stopDaemon("SIGKILL");
    await cut.ended();
    await engine.startDaemon();
    expect(cut.text).toMatch(RESTORED);
    await engine.ok("rm", "-f", name);
  }, 30_000);

  test("signals to run -it are the process's", async () => {
    const script = "trap 'exit 6' TERM; trap 'exit 7' HUP; echo ready; while :; do sleep 0.05; done";
    for (const [signal, status] of [
      ["SIGTERM", 6],
      ["SIGHUP", 7],
    ] as const) {
      const terminal = slipway(...run, "--rm", "-it", BASE, "sh", "-c", script);
      await terminal.until("ready");
      terminal.kill(signal);
      expect(await terminal.ended()).toBe(status);
    }
  }, 20_000);
});

describe("redrawing", () => {
  test("stats draws from the upper left corner, and in a dumb terminal writes plain tables", async () => {
    const name = await living("drawn");
    const screen = slipway("stats");
    await screen.until(/\x1b\[H.*\x1b\[H/s);
    screen.type(INTERRUPT);
    expect(await screen.ended()).toBe(130);
    const dumb = new Terminal([SLIPWAY, "stats"], { env: { TERM: "dumb" } });
    await dumb.until(/CONTAINER.*CONTAINER/s);
    dumb.type(INTERRUPT);
    expect(await dumb.ended()).toBe(130);
    expect(dumb.text).not.toContain("\x1b");
    await engine.ok("rm", "-f", name);
  }, 20_000);

  test("stats shows the others while one is slow, and goes on when one ends before it was measured", async () => {
    const name = await living("steady");
    const brief = engine.slipway([...run, "--rm", BASE, "sleep", "0.4"]);
    const screen = slipway("stats");
    await screen.until(name);
    await brief;
    screen.clear();
    await screen.until(name);
    screen.type(INTERRUPT);
    expect(await screen.ended()).toBe(130);
    await engine.ok("rm", "-f", name);
  }, 20_000);

  const steps = [
    "RUN echo a very long line of output that has no room in a terminal of forty columns at all",
    "RUN sleep 0.3",
  ];
  const build = (options: TerminalOptions & { readonly flags?: readonly string[] }) =>
    new Terminal(
      [
        SLIPWAY,
        "build",
        "--no-cache",
        ...(options.flags ?? []),
        engine.context({ Dockerfile: [`FROM ${BASE}`, ...steps, ""].join("\n") }),
      ],
      options,
    );

  test("a build moves the cursor and paints on a terminal, and paints nothing with NO_COLOR", async () => {
    const painted = build({});
    expect(await painted.ended()).toBe(0);
    expect(painted.text).toMatch(/\x1b\[\d+A/);
    expect(painted.text).toMatch(/\x1b\[[0-9]+m/);
    const plain = build({ env: { NO_COLOR: "1" } });
    expect(await plain.ended()).toBe(0);
    expect(plain.text).toMatch(/\x1b\[\d+A/);
    expect(plain.text).not.toMatch(/\x1b\[[0-9]+m/);
  }, 20_000);

  test("a build in forty columns draws no line that is longer", async () => {
    const narrow = build({ columns: 40, env: { NO_COLOR: "1" } });
    expect(await narrow.ended()).toBe(0);
    const drawn = narrow.text.slice(0, narrow.text.lastIndexOf("\x1b[?25h"));
    const lines = drawn.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "").split(/\r?\n|\r/);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(40);
  }, 20_000);

  test("a build in a dumb terminal, and one whose progress is plain, write lines only", async () => {
    for (const options of [
      { env: { TERM: "dumb" } },
      { flags: ["--progress", "plain"] },
      { env: { BUILDKIT_PROGRESS: "plain" } },
    ]) {
      const lines = build(options);
      expect(await lines.ended()).toBe(0);
      expect(lines.text).not.toContain("\x1b");
      expect(lines.text).toMatch(/#\d+ DONE/);
    }
  }, 30_000);

  test("a long job tells how far it is on the terminal, and only there", async () => {
    const slow = (rest: string) => `(head -c 3000000 /dev/zero; sleep 1.2) | ${SLIPWAY} import - slow ${rest}`;
    const seen = new Terminal(["sh", "-c", slow("")], { env: { COLUMNS: "80" } });
    await seen.until(/\rImporting [0-9.]+MB/);
    expect(await seen.ended()).toBe(0);
    expect(seen.text).toMatch(/\r\x1b\[Ksha256:[0-9a-f]{64}\r\n$/);
    for (const quiet of [
      new Terminal(["sh", "-c", slow("2>&1 | cat")]),
      new Terminal(["sh", "-c", slow("")], { env: { TERM: "dumb" } }),
    ]) {
      expect(await quiet.ended()).toBe(0);
      expect(quiet.text).toMatch(/^sha256:[0-9a-f]{64}\r\n$/);
    }
  }, 20_000);

  test("Ctrl-C cancels a build: 130, and the cursor is there again", async () => {
    const directory = engine.context({ Dockerfile: `FROM ${BASE}\nRUN sleep 1000\n` });
    const terminal = slipway("build", "--no-cache", directory);
    await terminal.until("sleep 1000");
    terminal.type(INTERRUPT);
    expect(await terminal.ended()).toBe(130);
    expect(terminal.text.lastIndexOf("\x1b[?25h")).toBeGreaterThan(terminal.text.lastIndexOf("\x1b[?25l"));
  }, 20_000);
});
