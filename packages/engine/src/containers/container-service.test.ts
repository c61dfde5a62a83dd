import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import { containerOf, type Fixture, mountsBelow, openFixture } from "../testing/engine-fixture.ts";
import { ScriptedSupervisor } from "../testing/scripted-supervisor.ts";

let fixture: Fixture;
let supervisor: ScriptedSupervisor;
beforeAll(async () => {
  supervisor = new ScriptedSupervisor();
  fixture = await openFixture({ supervisor: () => supervisor });
});
afterAll(() => fixture[Symbol.asyncDispose]());
afterEach(async () => {
  supervisor.deadly = [9, 15];
  supervisor.onStart = () => {};
  const { containers } = fixture.engine;
  for (const { container } of await containers.list({ all: true, size: false, filters: {} })) {
    await containers.remove(container.id, { force: true, volumes: true });
  }
  await fixture.engine.idle();
  expect(mountsBelow(fixture.root)).toEqual([]);
});

const noSignal = new AbortController().signal;
type Request = Parameters<typeof containerOf>;

async function started(...request: Request): Promise<string> {
  const { containers } = fixture.engine;
  const { id } = await containers.create(containerOf(...request));
  await containers.start(id);
  return id;
}

async function stateOf(id: string) {
  return (await fixture.engine.containers.inspect(id)).container.state;
}

function actions(id: string): string[] {
  return fixture.events.filter((event) => event.id === id).map(({ action }) => action);
}

/** Waits for a change that is announced, not for a time. */
function announced(id: string, action: string): Promise<void> {
  return new Promise((resolve) => {
    const stop = fixture.engine.events.subscribe((event) => {
      if (event.id !== id || event.action !== action) return;
      stop();
      resolve();
    });
  });
}

test("a container runs in its layers, with the files of its network, and ends with its code", async () => {
  const id = await started(["true"], { ExtraHosts: ["far:10.1.2.3"] }, { Hostname: "box" });
  expect(mountsBelow(fixture.root)).toHaveLength(1);
  const bundle = supervisor.requests.at(-1)?.bundle ?? "";
  const spec = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"));
  expect(spec).toMatchObject({ hostname: "box", process: { args: ["true"], cwd: "/" } });
  const { container, status } = await fixture.engine.containers.inspect(id);
  // What the container can write to, and so fill, is not in the memory of the machine.
  expect(container.hostsPath).toStartWith(fixture.root);
  const hosts = readFileSync(container.hostsPath, "utf8");
  expect(hosts).toMatch(/^10\.1\.2\.3\tfar$/m);
  expect(hosts).toMatch(/^\d+\.\d+\.\d+\.\d+\tbox$/m);
  expect(status).toBe("Up Less than a second");
  expect(container.endpoints).toHaveLength(1);
  expect((await fixture.engine.networks.inspect("bridge")).containers.map((each) => each.id)).toEqual([id]);
  await expect(fixture.engine.containers.start(id)).rejects.toMatchObject({ code: "not-modified" });
  await supervisor.exit(id, 3, { oomKilled: true });
  expect(await stateOf(id)).toMatchObject({ status: "exited", exitCode: 3, oomKilled: true, pid: 0 });
  expect(actions(id)).toEqual(["create", "start", "oom", "die"]);
});

test("an exit that is told before the start's answer is not lost", async () => {
  supervisor.onStart = (id) => void supervisor.exit(id, 5);
  const { containers } = fixture.engine;
  const { id } = await containers.create(containerOf(["true"]));
  const ended = containers.wait(id, { condition: "next-exit", signal: noSignal, registered: () => {} });
  await containers.start(id);
  expect(await ended).toEqual({ exitCode: 5 });
  expect(actions(id)).toEqual(["create", "start", "die"]);
});

test("a failed start leaves the container created, with the code and the reason, and nothing mounted", async () => {
  const details = { exitCode: 127 };
  supervisor.failure = new SlipwayError("invalid", 'exec: "nope": executable file not found in $PATH', { details });
  const { containers } = fixture.engine;
  const { id } = await containers.create(containerOf(["nope"]));
  await expect(containers.start(id)).rejects.toThrow("executable file not found");
  expect(await stateOf(id)).toMatchObject({ status: "created", exitCode: 127, error: expect.stringContaining("nope") });
  expect(mountsBelow(fixture.root)).toEqual([]);
  expect(fixture.store.database.query("SELECT count(*) AS n FROM writables").get()).toEqual({ n: 1 });
});

test("a user that the image does not have fails the start before anything runs", async () => {
  const { containers } = fixture.engine;
  const before = supervisor.requests.length;
  const { id } = await containers.create(containerOf(["true"], {}, { User: "nobody-here" }));
  await expect(containers.start(id)).rejects.toThrow("unable to find user nobody-here");
  expect(supervisor.requests).toHaveLength(before);
});

test("a container that removes itself is gone when that is reported, also after a failed start", async () => {
  const { containers } = fixture.engine;
  const id = await started(["true"], { AutoRemove: true });
  const removed = containers.wait(id, { condition: "removed", signal: noSignal, registered: () => {} });
  await supervisor.exit(id, 7);
  expect(await removed).toEqual({ exitCode: 7 });
  await expect(containers.inspect(id)).rejects.toMatchObject({ code: "not-found" });
  await fixture.engine.idle();
  expect(actions(id)).toEqual(["create", "start", "die", "destroy"]);
  supervisor.failure = new SlipwayError("invalid", "no");
  const other = await containers.create(containerOf(["true"], { AutoRemove: true }));
  await expect(containers.start(other.id)).rejects.toThrow("no");
  await expect(containers.inspect(other.id)).rejects.toMatchObject({ code: "not-found" });
});

test("stop asks first and forces then; the timeout is the caller's, the image's or ten seconds", async () => {
  const { containers } = fixture.engine;
  const gentle = await started(["sleep"], {}, { StopSignal: "SIGINT" });
  supervisor.deadly = [2, 9];
  supervisor.signals.length = 0;
  await containers.stop(gentle, {});
  expect(supervisor.signals).toEqual(["2"]);
  expect(await stateOf(gentle)).toMatchObject({ status: "exited", exitCode: 130 });
  await expect(containers.stop(gentle, {})).rejects.toMatchObject({ code: "not-modified" });
  const stubborn = await started(["sleep"]);
  supervisor.signals.length = 0;
  await containers.stop(stubborn, { timeout: 0 });
  expect(supervisor.signals).toEqual(["15", "9"]);
  expect(await stateOf(stubborn)).toMatchObject({ exitCode: 137 });
  expect(actions(stubborn)).toEqual(["create", "start", "kill", "kill", "die", "stop"]);
});

test("kill sends any signal, and refuses what does not run or is no signal", async () => {
  const { containers } = fixture.engine;
  const id = await started(["sleep"]);
  supervisor.signals.length = 0;
  await containers.kill(id, "HUP");
  expect((await stateOf(id)).status).toBe("running");
  await expect(containers.kill(id, "SIGNONSENSE")).rejects.toMatchObject({ code: "invalid" });
  await containers.kill(id, "");
  expect(supervisor.signals).toEqual(["1", "9"]);
  await expect(containers.kill(id, "KILL")).rejects.toThrow(/^cannot kill container: .*: container .* is not running$/);
});

test("a paused container is resumed by stop, refuses start, attach and exec, and shows as paused", async () => {
  const { containers, execs } = fixture.engine;
  const id = await started(["sleep"]);
  await containers.pause(id);
  expect((await containers.inspect(id)).status).toBe("Up Less than a second (Paused)");
  await expect(containers.pause(id)).rejects.toThrow(`container ${id} is already paused`);
  await expect(containers.start(id)).rejects.toThrow("cannot start a paused container, try unpause instead");
  await expect(containers.attach(id, { stdin: false, stdout: true, stderr: true })).rejects.toThrow("is paused");
  await expect(execs.create(id, { Cmd: ["ls"] })).rejects.toThrow(
    `container ${id} is paused, unpause the container before exec`,
  );
  supervisor.deadly = [];
  const stopping = containers.stop(id, { timeout: 30 });
  await announced(id, "unpause");
  await supervisor.exit(id, 0);
  await stopping;
  await expect(containers.unpause(id)).rejects.toThrow("is not paused");
});

test("only force removes what runs", async () => {
  const { containers } = fixture.engine;
  const id = await started(["sleep"]);
  const { container } = await containers.inspect(id);
  await expect(containers.remove(id, { force: false, volumes: false })).rejects.toThrow(
    `cannot remove container "/${container.name}": container is running: stop the container before removing or force remove`,
  );
  await containers.remove(id, { force: true, volumes: false });
  await expect(containers.inspect(id)).rejects.toMatchObject({ code: "not-found" });
});

test("a policy starts a container again until it is stopped by hand", async () => {
  const { containers } = fixture.engine;
  const id = await started(["true"], { RestartPolicy: { Name: "always" } });
  const again = announced(id, "start");
  await supervisor.exit(id, 0);
  expect((await stateOf(id)).status).toBe("restarting");
  await again;
  expect(await stateOf(id)).toMatchObject({ status: "running", restartCount: 1 });
  await containers.stop(id, {});
  expect((await stateOf(id)).status).toBe("exited");
});

test("what waits for its restart can be stopped, waited for and removed", async () => {
  const { containers } = fixture.engine;
  const id = await started(["false"], { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 } });
  await supervisor.exit(id, 1);
  await expect(containers.remove(id, { force: false, volumes: false })).rejects.toThrow("is restarting");
  const over = containers.wait(id, { condition: "not-running", signal: noSignal, registered: () => {} });
  await containers.stop(id, {});
  expect(await over).toEqual({ exitCode: 1 });
  expect((await stateOf(id)).status).toBe("exited");
});

test("restart works on what runs and on what does not, and keeps what would remove itself", async () => {
  const { containers } = fixture.engine;
  const id = await started(["sleep"], { AutoRemove: true });
  await containers.restart(id, { timeout: 0 });
  expect((await stateOf(id)).status).toBe("running");
  expect(actions(id)).toEqual(["create", "start", "kill", "die", "stop", "start", "restart"]);
  const other = (await containers.create(containerOf(["sleep"]))).id;
  await containers.restart(other, {});
  expect((await stateOf(other)).status).toBe("running");
});

test("waiting ends when its caller leaves, and at once for what does not run", async () => {
  const { containers } = fixture.engine;
  const { id } = await containers.create(containerOf(["true"]));
  let registered = 0;
  const count = () => registered++;
  expect(await containers.wait(id, { condition: "not-running", signal: noSignal, registered: count })).toEqual({
    exitCode: 0,
  });
  const leave = new AbortController();
  const wait = containers.wait(id, { condition: "next-exit", signal: leave.signal, registered: count });
  leave.abort();
  await expect(wait).rejects.toBeDefined();
  expect(registered).toBe(2);
});

test("an exec runs with the container's environment, user and directory, unless it has its own", async () => {
  const { execs } = fixture.engine;
  const id = await started(["sleep"], {}, { Env: ["A=1"], WorkingDir: "/tmp" });
  const execId = await execs.create(id, { Cmd: ["env"], Env: ["A=2", "B=3"], User: "daemon" });
  await execs.start(execId, { detach: true });
  const request = supervisor.execs.at(-1);
  expect(request).toMatchObject({ cwd: "/tmp", user: { uid: 1, gid: 1 }, terminal: false, privileged: false });
  expect(request?.env).toEqual(expect.arrayContaining(["A=2", "B=3"]));
  expect(request?.env).not.toContain("A=1");
  expect(await execs.inspect(execId)).toMatchObject({ running: true, containerId: id });
  await expect(execs.start(execId, { detach: true })).rejects.toThrow("is already running");
  await supervisor.exitExec(id, execId, 4);
  expect(await execs.inspect(execId)).toMatchObject({ running: false, exitCode: 4 });
  await expect(execs.start(execId, { detach: true })).rejects.toThrow("has already run");
  await expect(execs.inspect("nonesuch")).rejects.toThrow("No such exec instance: nonesuch");
  expect(actions(id).slice(2)).toEqual(["exec_create: env", "exec_start: env", "exec_die"]);
});

test("an exec ends with its container, and needs one that runs", async () => {
  const { execs } = fixture.engine;
  const id = await started(["sleep"]);
  const execId = await execs.create(id, { Cmd: ["sleep"] });
  await execs.start(execId, { detach: true });
  await supervisor.exit(id, 0);
  expect(await execs.inspect(execId)).toMatchObject({ running: false, exitCode: 137 });
  await expect(execs.create(id, { Cmd: ["ls"] })).rejects.toThrow(`container ${id} is not running`);
});

test("prune removes what does not run and says how much that freed", async () => {
  const { containers } = fixture.engine;
  const up = await started(["sleep"]);
  const down = (await containers.create(containerOf(["true"], {}, { Labels: { a: "1" } }))).id;
  expect((await containers.prune({ label: ["a=2"] })).removed).toEqual([]);
  expect((await containers.prune({})).removed).toEqual([down]);
  expect((await containers.inspect(up)).container.id).toBe(up);
});

test("a port is free for the next as soon as its holder has ended", async () => {
  const { containers } = fixture.engine;
  const ports = { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "39517" }] } };
  const first = await started(["serve"], ports);
  const { id: second } = await containers.create(containerOf(["serve"], ports));
  await expect(containers.start(second)).rejects.toMatchObject({ code: "conflict" });
  await containers.remove(first, { force: true, volumes: false });
  await containers.start(second);
  expect((await containers.inspect(second)).container.ports).toEqual({
    "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "39517" }],
  });
});

test("of a range of host ports the first free one is published", async () => {
  const { containers } = fixture.engine;
  const ports = { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "39518-39519" }] } };
  const published = async (id: string) => (await containers.inspect(id)).container.ports["80/tcp"]?.[0]?.HostPort;
  const [first, second] = [await started(["serve"], ports), await started(["serve"], ports)];
  expect([await published(first), await published(second)]).toEqual(["39518", "39519"]);
  await expect(started(["serve"], ports)).rejects.toMatchObject({ code: "conflict" });
});

test("two who share a network share its files; who shares needs a running one", async () => {
  const { containers } = fixture.engine;
  const { id: first } = await containers.create({ ...containerOf(["sleep"]), name: "shared" });
  const { id: second } = await containers.create(containerOf(["sleep"], { NetworkMode: "container:shared" }));
  await expect(containers.start(second)).rejects.toThrow(`cannot join network of a non running container: ${first}`);
  await containers.start(first);
  await containers.start(second);
  const spec = readFileSync(join(supervisor.requests.at(-1)?.bundle ?? "", "config.json"), "utf8");
  expect(spec).toContain(`/proc/${process.pid}/ns/net`);
  expect(spec).toContain((await containers.inspect(first)).container.hostsPath);
});

test("a start that waited behind the removal finds nothing, and the name is whose it has become", async () => {
  const { containers } = fixture.engine;
  const request = () => ({ ...containerOf(["x"], { AutoRemove: true }), name: "shared" });
  const { id } = await containers.create(request());
  const removed = containers.remove(id, { force: false, volumes: false });
  const started = containers.start(id);
  started.catch(() => {});
  await removed;
  const next = await containers.create(request());
  await expect(started).rejects.toMatchObject({ code: "not-found" });
  expect((await containers.inspect("shared")).container.id).toBe(next.id);
  await containers.remove("shared", { force: false, volumes: false });
});
