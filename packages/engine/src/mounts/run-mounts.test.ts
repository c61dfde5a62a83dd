import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bindMount, mountTmpfs, unmount } from "@slipway/sys";
import { type Fixture, mountsBelow, openFixture, realSupervisor } from "../testing/engine-fixture.ts";
import { Runner, shell } from "../testing/runner.ts";

let fixture: Fixture;
const runner = new Runner(() => fixture);
const scratch = mkdtempSync(join(tmpdir(), "slipway-mounts-"));
beforeAll(async () => {
  fixture = await openFixture({ supervisor: realSupervisor });
});
afterEach(async () => {
  await runner.clear();
  await fixture.engine.volumes.prune({ all: ["true"] });
  expect(mountsBelow(fixture.root)).toEqual([]);
  expect(mountsBelow(fixture.execRoot).filter((path) => path.includes("/containers/"))).toEqual([]);
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

const tmpfsVolume = (name: string) =>
  fixture.engine.volumes.create({
    name,
    labels: {},
    options: { type: "tmpfs", device: "tmpfs", o: "size=1m,mode=0700" },
  });

describe("volumes with options", () => {
  test("a directory of the host is mounted with the first container and unmounted after the last", async () => {
    const source = mkdtempSync(join(scratch, "source-"));
    writeFileSync(join(source, "here"), "yes");
    const options = { type: "none", device: source, o: "bind" };
    const { mountpoint } = await fixture.engine.volumes.create({ name: "bound", labels: {}, options });
    const first = await runner.up(["sleep", "60"], { Binds: ["bound:/data"] });
    const second = await runner.up(["sleep", "60"], { Binds: ["bound:/data"] });
    expect((await runner.exec(first, "cat /data/here; echo back > /data/new")).stdout).toBe("yes");
    expect(readFileSync(join(source, "new"), "utf8")).toBe("back\n");
    await fixture.engine.containers.stop(first, { timeout: 0 });
    await fixture.engine.idle();
    expect(mountsBelow(fixture.root)).toContain(mountpoint);
    await fixture.engine.containers.stop(second, { timeout: 0 });
    await fixture.engine.idle();
    expect(mountsBelow(fixture.root)).not.toContain(mountpoint);
    await runner.clear();
    await fixture.engine.volumes.remove("bound", false);
    expect(readdirSync(source).sort()).toEqual(["here", "new"]);
  });

  test("a tmpfs has the size of its options, and is empty for the next run", async () => {
    await tmpfsVolume("memory");
    const script = "ls /data; echo x > /data/x; df -k /data | awk 'END { print $2 }'";
    const request = { Binds: ["memory:/data"] };
    expect((await runner.run(shell(script), request)).stdout).toBe("1024\n");
    await fixture.engine.idle();
    expect((await runner.run(shell(script), request)).stdout).toBe("1024\n");
  });

  test("what cannot be mounted is said with the kernel's reason, and the start undone", async () => {
    const options = { type: "ext4", device: "/dev/null", o: "" };
    await fixture.engine.volumes.create({ name: "broken", labels: {}, options });
    const create = runner.up(["true"], { Binds: ["broken:/data"] });
    await expect(create).rejects.toThrow(/failed to mount local volume: mount \/dev\/null:.*_data/);
  });

  test("they stay mounted while their container outlives the engine, and are known to the next", async () => {
    const { mountpoint } = await tmpfsVolume("lasting");
    const id = await runner.up(shell("echo kept > /data/x; sleep 60"), { Binds: ["lasting:/data"] });
    await runner.exec(id, "until [ -s /data/x ]; do sleep 0.01; done");
    fixture = await fixture.reopen();
    expect(mountsBelow(fixture.root)).toContain(mountpoint);
    expect((await runner.run(["cat", "/data/x"], { Binds: ["lasting:/data"] })).stdout).toBe("kept\n");
    await fixture.engine.containers.stop(id, { timeout: 0 });
    await fixture.engine.idle();
    expect(mountsBelow(fixture.root)).not.toContain(mountpoint);
  });

  test("a mount that an engine left behind is undone by the next", async () => {
    const { mountpoint } = await tmpfsVolume("forgotten");
    mountTmpfs(mountpoint);
    fixture = await fixture.reopen();
    expect(mountsBelow(fixture.root)).not.toContain(mountpoint);
  });

  test("one that is mounted is never deleted through its mount", async () => {
    const source = mkdtempSync(join(scratch, "precious-"));
    writeFileSync(join(source, "file"), "");
    const options = { type: "none", device: source, o: "bind" };
    const { mountpoint } = await fixture.engine.volumes.create({ name: "held", labels: {}, options });
    bindMount(source, mountpoint);
    await fixture.engine.volumes.remove("held", false);
    expect(readdirSync(source)).toEqual(["file"]);
  });

  test.each([
    [{ foo: "1" }, 'create v1: invalid option: "foo"'],
    [{ device: "/x" }, 'create v1: missing required option: "type"'],
    [{ type: "tmpfs" }, 'create v1: missing required option: "device"'],
    [{ size: "1g" }, "create v1: quota size requested but no quota support"],
  ] as const)("%j is refused: %s", (options, message) => {
    expect(() => fixture.engine.volumes.create({ name: "v1", labels: {}, options: { ...options } })).toThrow(message);
  });

  test("again with the same options it is the same volume, with others a conflict", async () => {
    const volume = await tmpfsVolume("same");
    expect(await tmpfsVolume("same")).toEqual(volume);
    expect(await fixture.engine.volumes.create({ name: "same", labels: {}, options: {} })).toEqual(volume);
    const other = { type: "tmpfs", device: "tmpfs", o: "size=2m" };
    const again = fixture.engine.volumes.create({ name: "same", labels: {}, options: other });
    await expect(again).rejects.toMatchObject({ code: "conflict" });
  });
});

describe("parts of volumes", () => {
  const part = (Subpath: string) => ({
    Mounts: [{ Type: "volume" as const, Source: "whole", Target: "/part", VolumeOptions: { Subpath } }],
  });

  test("are mounted as what they are, not as a name in the volume, and files are read from them without a run", async () => {
    await runner.run(shell("mkdir -p /v/a/b; echo deep > /v/a/b/file; ln -s /etc /v/out"), { Binds: ["whole:/v"] });
    const id = await runner.up(shell("cat /part/file; sleep 60"), part("a/b"));
    expect((await runner.exec(id, "cat /part/file")).stdout).toBe("deep\n");
    const { mounts } = JSON.parse(readFileSync(join(fixture.execRoot, "containers", id, "config.json"), "utf8"));
    const source = mounts.find((mount: { destination: string }) => mount.destination === "/part").source;
    expect(source).toStartWith(join(fixture.execRoot, "subpaths"));
    await fixture.engine.containers.stop(id, { timeout: 0 });
    await fixture.engine.idle();
    expect(mountsBelow(join(fixture.execRoot, "subpaths"))).toEqual([]);
    expect((await fixture.engine.files.stat(id, "/part/file")).stat.size).toBe(5);
    await expect(runner.up(["true"], part("out"))).rejects.toThrow("it does not exist in the volume");
  });

  test("stay in their container when the engine is killed, and leave nothing behind", async () => {
    await runner.run(shell("mkdir -p /v/a; echo here > /v/a/file"), { Binds: ["whole:/v"] });
    const id = await runner.up(["sleep", "60"], part("a"));
    fixture = await fixture.reopen();
    expect(mountsBelow(join(fixture.execRoot, "subpaths"))).toEqual([]);
    expect((await runner.exec(id, "cat /part/file")).stdout).toBe("here\n");
  });
});

describe("mounts of images", () => {
  test("show an image's files, which nobody can change, and keep the image", async () => {
    const mount = { Type: "image", Source: "slipway/base", Target: "/other" } as const;
    const { stdout, exitCode } = await runner.run(shell("cat /other/etc/passwd | head -1; echo x > /other/x"), {
      Mounts: [mount],
    });
    expect(stdout).toStartWith("root:");
    expect(exitCode).not.toBe(0);
    const [item] = await fixture.engine.containers.list({ all: true, size: false, filters: {} });
    expect(item?.container.mounts).toMatchObject([{ type: "image", source: "slipway/base", readWrite: false }]);
  });

  test("a part of an image is found inside it", async () => {
    const part = (Subpath: string) => ({
      Mounts: [{ Type: "image" as const, Source: "slipway/base", Target: "/part", ImageOptions: { Subpath } }],
    });
    expect((await runner.run(["cat", "/part/hostname"], part("etc"))).exitCode).not.toBe(127);
    expect((await runner.run(shell("head -1 /part/passwd"), part("etc"))).stdout).toStartWith("root:");
    await expect(runner.run(["true"], part("nonesuch"))).rejects.toThrow("it does not exist in the image");
    await expect(runner.run(["true"], part("../up"))).rejects.toThrow(
      "subpath must be a relative path within the image",
    );
  });

  test("an image that is not there is refused when the container is created", async () => {
    const mount = { Type: "image", Source: "nonesuch", Target: "/x" } as const;
    await expect(runner.run(["true"], { Mounts: [mount] })).rejects.toMatchObject({ code: "not-found" });
  });
});

describe("binds", () => {
  test("read-only counts for what is mounted below the source too, unless it is asked for otherwise", async () => {
    const source = mkdtempSync(join(scratch, "nested-"));
    mkdirSync(join(source, "below"));
    mountTmpfs(join(source, "below"));
    try {
      const write = shell("touch /data/below/x");
      const bind = (BindOptions = {}) => ({
        Mounts: [{ Type: "bind" as const, Source: source, Target: "/data", ReadOnly: true, BindOptions }],
      });
      expect((await runner.run(write, { Binds: [`${source}:/data:ro`] })).stderr).toContain("Read-only file system");
      expect((await runner.run(write, bind())).exitCode).not.toBe(0);
      expect((await runner.run(write, bind({ ReadOnlyForceRecursive: true }))).exitCode).not.toBe(0);
      expect((await runner.run(write, bind({ ReadOnlyNonRecursive: true }))).exitCode).toBe(0);
    } finally {
      await runner.clear();
      unmount(join(source, "below"), { lazy: true });
    }
  });

  test("one that is to pass mounts on needs a source that does", async () => {
    const source = mkdtempSync(join(scratch, "alone-"));
    mountTmpfs(source);
    try {
      const started = runner.up(["true"], { Binds: [`${source}:/data:rshared`] });
      await expect(started).rejects.toThrow(`path ${source} is mounted on ${source} but it is not a shared mount`);
    } finally {
      await runner.clear();
      unmount(source, { lazy: true });
    }
  });

  test("a missing source is refused with the nearest that is there", async () => {
    mkdirSync(join(scratch, "website"), { recursive: true });
    const mount = { Type: "bind" as const, Source: join(scratch, "websit"), Target: "/x" };
    await expect(runner.up(["true"], { Mounts: [mount] })).rejects.toMatchObject({
      message: `invalid mount config for type "bind": bind source path does not exist: ${mount.Source}`,
      hint: `Did you mean '${join(scratch, "website")}'? Only -v makes a missing directory.`,
    });
  });

  test("options of a tmpfs reach the kernel", async () => {
    const mount = {
      Type: "tmpfs",
      Target: "/t",
      TmpfsOptions: { SizeBytes: 1048576, Mode: 0o700, Options: [["exec"]] },
    };
    const { stdout } = await runner.run(shell("grep ' /t ' /proc/mounts"), { Mounts: [mount as never] });
    expect(stdout).toContain("size=1024k");
    expect(stdout).toContain("mode=700");
    expect(stdout).not.toContain("noexec");
  });
});
