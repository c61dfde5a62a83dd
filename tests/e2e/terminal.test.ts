import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BASE, Engine, SLIPWAY } from "./harness.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

/** Our client in a terminal of its own. */
class Terminal {
  readonly #child: Bun.Subprocess;
  readonly #waiting = new Set<() => void>();
  text = "";

  constructor(...argv: string[]) {
    this.#child = Bun.spawn([SLIPWAY, ...argv], {
      env: { ...process.env, DOCKER_HOST: `unix://${engine.socket}`, TERM: "xterm" },
      terminal: {
        cols: 80,
        rows: 24,
        data: (_, chunk) => {
          this.text += Buffer.from(chunk).toString("latin1");
          for (const wake of this.#waiting) wake();
        },
      },
    });
  }

  async until(expected: string): Promise<void> {
    while (!this.text.includes(expected)) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  type(text: string): void {
    this.#child.terminal?.write(text);
  }

  resize(columns: number, rows: number): void {
    this.#child.terminal?.resize(columns, rows);
  }

  get exited(): Promise<number> {
    return this.#child.exited;
  }
}

const run = ["run", "--network", "none"];

test("a shell knows the terminal's size, also when it changes, and its exit code arrives", async () => {
  const terminal = new Terminal(...run, "--rm", "-it", BASE, "sh");
  await terminal.until("# ");
  terminal.type("stty size\n");
  await terminal.until("24 80");
  terminal.resize(132, 50);
  terminal.type("while [ \"$(stty size)\" != '50 132' ]; do :; done; exit 5\n");
  expect(await terminal.exited).toBe(5);
}, 20_000);

test("a bare line feed of a program that draws on the screen stays one", async () => {
  const terminal = new Terminal(...run, "--rm", "-it", BASE, "sh", "-c", 'stty -opost; printf "a\\nb"');
  expect(await terminal.exited).toBe(0);
  expect(terminal.text).toContain("a\nb");
});

test("the detach keys leave a run with 0 and an attach or exec with 1, as Docker's do", async () => {
  const first = new Terminal(...run, "--name", "left", "-it", BASE, "sh");
  await first.until("# ");
  first.type("\x10\x11");
  expect(await first.exited).toBe(0);
  const again = new Terminal("attach", "left");
  again.type("echo $((40+2))\n");
  await again.until("42");
  again.type("\x10\x11");
  expect(await again.exited).toBe(1);
  expect(again.text).toContain("read escape sequence");
  const exec = new Terminal("exec", "-it", "--detach-keys", "ctrl-a,d", "left", "sh");
  await exec.until("# ");
  exec.type("\x01d");
  expect(await exec.exited).toBe(1);
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
