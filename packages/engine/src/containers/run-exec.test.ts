import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Fixture, openFixture, realSupervisor } from "../testing/engine-fixture.ts";
import { Runner, shell } from "../testing/runner.ts";

let fixture: Fixture;
const runner = new Runner(() => fixture);
const scratch = mkdtempSync(join(tmpdir(), "slipway-exec-"));
beforeAll(async () => {
  // Not only root looks into it.
  chmodSync(scratch, 0o755);
  fixture = await openFixture({ supervisor: realSupervisor });
});
afterEach(() => runner.clear());
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

/** Starts an exec that ends with 5 as soon as the file `go` is in the scratch directory. */
async function waiting(go: string): Promise<{ readonly id: string; readonly exec: string }> {
  const id = await runner.up(["sleep", "60"], { Binds: [`${scratch}:/s`] });
  const exec = await fixture.engine.execs.create(id, {
    Cmd: shell(`until [ -e /s/${go} ]; do sleep 0.01; done; exit 5`),
    User: "www-data",
  });
  await fixture.engine.execs.start(exec, { detach: true });
  return { id, exec };
}

async function untilEnded(exec: string): Promise<number | undefined> {
  for (;;) {
    const state = await fixture.engine.execs.inspect(exec);
    if (!state.running) return state.exitCode;
    await Bun.sleep(5);
  }
}

test("an exec that runs on while the engine restarts is known to the next, with its end", async () => {
  const { id, exec } = await waiting("first");
  fixture = await fixture.reopen();
  expect(await fixture.engine.execs.inspect(exec)).toMatchObject({
    containerId: id,
    running: true,
    config: { User: "www-data" },
  });
  expect((await fixture.engine.containers.inspect(id)).container.execIds).toEqual([exec]);
  writeFileSync(join(scratch, "first"), "");
  expect(await untilEnded(exec)).toBe(5);
  expect((await fixture.engine.containers.inspect(id)).container.execIds).toEqual([]);
});

test("the end of an exec while no engine is there is accounted for", async () => {
  const { exec } = await waiting("second");
  const { pid } = await fixture.engine.execs.inspect(exec);
  fixture = await fixture.reopen(async () => {
    writeFileSync(join(scratch, "second"), "");
    while (isThere(pid)) await Bun.sleep(5);
  });
  expect(await fixture.engine.execs.inspect(exec)).toMatchObject({ running: false, exitCode: 5 });
});

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("an exec has its own user, directory, environment and terminal", async () => {
  const id = await runner.up(["sleep", "60"], {}, { Env: ["A=1", "B=2"] });
  const { execs } = fixture.engine;
  const exec = await execs.create(id, {
    ...{ Cmd: shell("id -u; pwd; echo $A$B$C; test -t 1 && echo tty"), User: "33", WorkingDir: "/tmp" },
    ...{ Env: ["B=3", "C=4"], Tty: true, AttachStdout: true },
  });
  const session = await execs.start(exec, { detach: false });
  const parts: Uint8Array[] = [];
  for await (const { data } of session?.output ?? []) parts.push(data.slice());
  expect(Buffer.concat(parts).toString()).toBe("33\r\n/tmp\r\n134\r\ntty\r\n");
});

test("a privileged exec has the capabilities that its container lacks", async () => {
  const id = await runner.up(["sleep", "60"]);
  const { execs } = fixture.engine;
  const capabilities = async (Privileged: boolean) => {
    const exec = await execs.create(id, {
      Cmd: shell("grep CapEff /proc/self/status"),
      Privileged,
      AttachStdout: true,
    });
    const session = await execs.start(exec, { detach: false });
    let text = "";
    for await (const { data } of session?.output ?? []) text += Buffer.from(data).toString();
    return BigInt(`0x${text.trim().split("\t")[1]}`);
  };
  const [plain, privileged] = [await capabilities(false), await capabilities(true)];
  expect(privileged & plain).toBe(plain);
  expect(privileged).toBeGreaterThan(plain);
});

test.each([
  ["/nonesuch", 127],
  ["/etc/passwd", 126],
] as const)("an exec of %s ends with %i", async (path, exitCode) => {
  const id = await runner.up(["sleep", "60"]);
  const exec = await fixture.engine.execs.create(id, { Cmd: [path] });
  await expect(fixture.engine.execs.start(exec, { detach: true })).rejects.toThrow();
  expect(await fixture.engine.execs.inspect(exec)).toMatchObject({ running: false, exitCode });
});

test("an exec that no process can be started with is refused when it is created", async () => {
  const id = await runner.up(["sleep", "60"]);
  const create = (more: object) => fixture.engine.execs.create(id, { Cmd: ["true"], ...more });
  await expect(create({ Env: ["=x"] })).rejects.toMatchObject({ code: "invalid" });
  await expect(create({ WorkingDir: "relative" })).rejects.toMatchObject({ code: "invalid" });
});

test("a bare name takes a variable of the container away", async () => {
  const id = await runner.up(["sleep", "60"], {}, { Env: ["GONE=1"] });
  const config = { Cmd: shell("echo [$GONE]"), Env: ["GONE", "NEVER"], AttachStdout: true };
  const exec = await fixture.engine.execs.create(id, config);
  const session = await fixture.engine.execs.start(exec, { detach: false });
  const parts: Uint8Array[] = [];
  for await (const { data } of session?.output ?? []) parts.push(data.slice());
  expect(Buffer.concat(parts).toString()).toBe("[]\n");
});
