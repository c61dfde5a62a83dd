import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { containerOf, type Fixture, mountsBelow, openFixture, realSupervisor } from "../testing/engine-fixture.ts";
import { Runner, shell } from "../testing/runner.ts";

let fixture: Fixture;
const runner = new Runner(() => fixture);
const scratch = mkdtempSync(join(tmpdir(), "slipway-files-"));
beforeAll(async () => {
  fixture = await openFixture({ supervisor: realSupervisor });
});
afterEach(async () => {
  await runner.clear();
  expect(mountsBelow(fixture.root)).toEqual([]);
  expect(mountsBelow(join(fixture.execRoot, "views"))).toEqual([]);
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

const signal = new AbortController().signal;

test("a slow reader of a stopped container's files does not keep it from starting", async () => {
  const { containers, files } = fixture.engine;
  writeFileSync(join(scratch, "file"), "from the host");
  const { id } = await containers.create(
    containerOf(shell("[ -e /big ] || dd if=/dev/zero of=/big bs=1M count=4 2>/dev/null; sleep 60"), {
      Binds: [`${scratch}:/new/place`],
    }),
  );
  await containers.start(id);
  await runner.exec(id, "until [ -s /big ] && [ $(stat -c %s /big) = 4194304 ]; do sleep 0.01; done");
  await containers.stop(id, { timeout: 0 });
  const readers = [await files.export(id, { signal }), (await files.archive(id, "/new/place", { signal })).tar];
  const begun = await Promise.all(
    readers.map(async (reader) => {
      const stream = reader[Symbol.asyncIterator]();
      return { stream, first: await stream.next() };
    }),
  );
  await containers.start(id);
  const sizes = await Promise.all(
    begun.map(async ({ stream, first }) => {
      const parts: Uint8Array[] = first.done === true ? [] : [first.value.slice()];
      for (let part = await stream.next(); part.done !== true; part = await stream.next())
        parts.push(part.value.slice());
      return Buffer.concat(parts);
    }),
  );
  expect(sizes[0]?.length).toBeGreaterThan(4 * 1024 * 1024);
  expect(sizes[1]?.includes("from the host")).toBe(true);
  expect((await containers.inspect(id)).container.state.status).toBe("running");
});

test("files of a container that never ran are seen through its mounts, also where the image has no such directory", async () => {
  const { containers, files } = fixture.engine;
  writeFileSync(join(scratch, "one"), "single");
  const binds = { Binds: [`${scratch}:/deep/er/place`, `${join(scratch, "one")}:/deep/file`] };
  const { id } = await containers.create(containerOf(["true"], binds));
  expect(await files.stat(id, "/deep/er/place/one")).toMatchObject({ name: "one" });
  expect((await files.stat(id, "/deep/file")).stat.size).toBe(6);
  expect((await files.changes(id)).length).toBe(0);
});

test("views that an engine left behind are unmounted and removed, what was mounted there stays", async () => {
  const { containers, files } = fixture.engine;
  writeFileSync(join(scratch, "precious"), "x");
  const { id } = await containers.create(containerOf(["true"], { Binds: [`${scratch}:/data`] }));
  const { tar } = await files.archive(id, "/data", { signal });
  expect(mountsBelow(join(fixture.execRoot, "views")).length).toBeGreaterThan(0);
  fixture = await fixture.reopen();
  expect(mountsBelow(join(fixture.execRoot, "views"))).toEqual([]);
  expect(await Bun.file(join(scratch, "precious")).text()).toBe("x");
  await tar[Symbol.asyncIterator]().return?.();
});

test("a container whose commit was cut off by the engine's end runs on with the next", async () => {
  const { containers } = fixture.engine;
  const id = await runner.up(["sleep", "60"]);
  await containers.pause(id);
  const sql = "UPDATE engine_containers SET state = json_set(state, '$.committing', json('true')) WHERE id = ?";
  fixture.store.database.query(sql).run(id);
  fixture = await fixture.reopen();
  const { state } = (await fixture.engine.containers.inspect(id)).container;
  expect(state).toMatchObject({ status: "running", committing: false });
  expect((await runner.exec(id, "echo moves")).stdout).toBe("moves\n");
});

test("one that somebody paused stays so", async () => {
  const id = await runner.up(["sleep", "60"]);
  await fixture.engine.containers.pause(id);
  fixture = await fixture.reopen();
  expect((await fixture.engine.containers.inspect(id)).container.state.status).toBe("paused");
});

test("shared memory is shared with whom it was asked for, and with nobody else", async () => {
  const script = "echo mark > /dev/shm/mark; sleep 60";
  const donor = await runner.up(shell(script), { IpcMode: "shareable", ShmSize: 1048576 });
  await runner.exec(donor, "until [ -s /dev/shm/mark ]; do sleep 0.01; done");
  const join = { IpcMode: `container:${donor}` };
  expect((await runner.run(shell("cat /dev/shm/mark; df -k /dev/shm | awk 'END { print $2 }'"), join)).stdout).toBe(
    "mark\n1024\n",
  );
  const closed = await runner.up(["sleep", "60"], { IpcMode: "private" });
  await expect(runner.up(["true"], { IpcMode: `container:${closed}` })).rejects.toThrow(
    "non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
  );
  expect((await runner.run(shell("grep -c /dev/shm /proc/mounts; true"), { IpcMode: "none" })).stdout).toBe("0\n");
});
