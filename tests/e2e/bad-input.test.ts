import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf } from "@slipway/oci";
import { END_OF_ARCHIVE, encodeTarHeader, padding, type TarHeader } from "@slipway/tar";
import { BASE, Engine, run, SLIPWAY } from "./harness.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

type Entry = Partial<TarHeader> & { name: string; content?: string | Uint8Array };

function tar(entries: readonly Entry[]): Uint8Array {
  const parts = entries.flatMap(({ content = "", ...header }) => {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    const whole = {
      type: "file",
      mode: 0o644,
      uid: 0,
      gid: 0,
      uname: "",
      gname: "",
      mtime: 0n,
      linkname: "",
      devmajor: 0,
      devminor: 0,
      xattrs: new Map(),
      ...header,
    };
    return [
      encodeTarHeader({ ...whole, size: bytes.length } as TarHeader),
      bytes,
      new Uint8Array(padding(bytes.length)),
    ];
  });
  return Buffer.concat([...parts, END_OF_ARCHIVE]);
}

/** A docker archive of one layer, whose diff ID can be a lie. */
function archive(layer: Uint8Array, options: { config?: string; diffId?: string } = {}): Uint8Array {
  const config =
    options.config ??
    JSON.stringify({
      os: "linux",
      architecture: "amd64",
      config: {},
      rootfs: { type: "layers", diff_ids: [options.diffId ?? digestOf(layer)] },
    });
  return tar([
    { name: "config.json", content: config },
    { name: "layer.tar", content: layer },
    {
      name: "manifest.json",
      content: JSON.stringify([{ Config: "config.json", RepoTags: ["hostile:1"], Layers: ["layer.tar"] }]),
    },
  ]);
}

/** Loads, and if that is let through because layers are unpacked when needed, runs. One of the two must refuse. */
async function loadAndRun(bytes: Uint8Array): Promise<string> {
  const loaded = await engine.slipway(["load"], { stdin: bytes });
  if (loaded.code !== 0) return loaded.stderr;
  const ran = await engine.slipway(["run", "--rm", "--network", "none", "hostile:1", "/x"]);
  await engine.slipway(["rmi", "-f", "hostile:1"]);
  expect(ran.code).not.toBe(0);
  return ran.stderr;
}

describe("hostile images", () => {
  const canary = join(tmpdir(), `slipway-canary-${process.pid}`);

  test.each<[string, Entry[]]>([
    ["a name with ../", [{ name: `${"../".repeat(20)}${canary.slice(1)}`, content: "escaped" }]],
    [
      "a link out of the root and a file through it",
      [
        { name: "l", type: "symlink", linkname: "/tmp" },
        { name: `l/${canary.split("/").at(-1)}`, content: "escaped" },
      ],
    ],
    [
      "a relative link out of the root and a file through it",
      [
        { name: "l", type: "symlink", linkname: "../../../../../../../../tmp" },
        { name: `l/${canary.split("/").at(-1)}`, content: "escaped" },
      ],
    ],
    ["a hard link to a file outside", [{ name: "h", type: "link", linkname: "../../../../../../../../etc/passwd" }]],
  ])("%s never touches the host", async (_, entries) => {
    const stderr = await loadAndRun(archive(tar(entries)));
    expect(existsSync(canary)).toBe(false);
    expect(stderr).not.toMatch(/\n\s+at .*\.ts:\d+/);
  });

  test("a name with ../ is refused by name", async () => {
    expect(await loadAndRun(archive(tar([{ name: "../../evil", content: "x" }])))).toContain("evil");
  });

  test("a wrong digest is refused", async () => {
    const stderr = await loadAndRun(
      archive(tar([{ name: "x", content: "x" }]), { diffId: digestOf("something else") }),
    );
    expect(stderr).toContain(digestOf("something else"));
  });

  test.each([
    ["not JSON", "{not json"],
    ["JSON of another shape", '{"rootfs": "none"}'],
  ])("a config that is %s is refused", async (_, config) => {
    expect(await loadAndRun(archive(tar([]), { config }))).toMatch(/config/i);
  });

  test("a manifest that names a missing layer is refused", async () => {
    const bytes = tar([
      {
        name: "manifest.json",
        content: JSON.stringify([{ Config: "c.json", RepoTags: ["hostile:1"], Layers: ["../../layer.tar"] }]),
      },
    ]);
    expect((await engine.slipway(["load"], { stdin: bytes })).code).toBe(1);
  });

  test.each([
    ["text", Buffer.from("this is no archive, and long enough to be read as a header".repeat(20))],
    ["nothing", new Uint8Array()],
    ["a truncated archive", archive(tar([{ name: "x", content: "x".repeat(5000) }])).slice(0, 3000)],
  ])("%s is refused", async (_, bytes) => {
    const output = await engine.slipway(["load"], { stdin: bytes });
    expect(output.code).toBe(1);
    expect(output.stderr.length).toBeGreaterThan(10);
  });

  test("after all of them nothing is named and nothing half made is left", async () => {
    expect(await engine.ok("images", "--format", "{{.Repository}}")).toBe(BASE);
    expect(readdirSync(join(engine.dataRoot, "content/ingest"))).toEqual([]);
  });
});

describe("a machine that is not ready", () => {
  test("a second daemon on the same data root names the first one", async () => {
    const output = await run([
      SLIPWAY,
      "daemon",
      "-H",
      `unix://${engine.root}/second.sock`,
      "--data-root",
      engine.dataRoot,
      "--exec-root",
      join(engine.root, "exec2"),
      "--pidfile",
      join(engine.root, "pid2"),
    ]);
    expect(output.code).toBe(1);
    expect(output.stderr).toContain(String(engine.daemonPid));
  });

  test("no root: the daemon says so", async () => {
    const output = await run([
      "setpriv",
      "--reuid",
      "65534",
      "--regid",
      "65534",
      "--clear-groups",
      SLIPWAY,
      "daemon",
      "--data-root",
      "/tmp/nobody-slipway",
    ]);
    expect(output.code).toBe(1);
    expect(output.stderr).toMatch(/root/);
    expect(output.stderr).not.toMatch(/\n\s+at /);
  });

  test("no runc: the first container says how to install it", async () => {
    const directory = mkdtempSync(join(tmpdir(), "slipway-norunc-"));
    const flags = [
      "-H",
      `unix://${directory}/s.sock`,
      "--data-root",
      join(directory, "data"),
      "--exec-root",
      join(directory, "exec"),
      "--pidfile",
      join(directory, "pid"),
    ];
    // In a mount namespace of its own, where no runtime can be executed.
    const hide = ["runc", "crun"].map((name) =>
      Bun.which(name, { PATH: "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/sbin:/bin" }),
    );
    const script = `${hide
      .filter((path) => path !== null)
      .map((path) => `mount --bind /dev/null ${path};`)
      .join("")} exec "$@"`;
    const daemon = Bun.spawn(["unshare", "-m", "sh", "-c", script, "sh", SLIPWAY, "daemon", ...flags], {
      stdout: "ignore",
      stderr: "ignore",
    });
    try {
      const env = { DOCKER_HOST: `unix://${directory}/s.sock` };
      while (!existsSync(join(directory, "s.sock"))) await Bun.sleep(5);
      writeFileSync(join(directory, "base.tar"), archive(tar([{ name: "x", mode: 0o755, content: "#!" }])));
      await run([SLIPWAY, "load", "-i", join(directory, "base.tar")], { env });
      const output = await run([SLIPWAY, "run", "--rm", "--network", "none", "hostile:1", "/x"], { env });
      expect(output.code).toBe(125);
      expect(output.stderr).toContain("runc");
      expect(output.stderr).toContain("apt-get install");
    } finally {
      daemon.kill("SIGTERM");
      await daemon.exited;
      rmSync(directory, { recursive: true });
    }
  });

  test("a full disk ends a load with a clear error and an unharmed store", async () => {
    const directory = mkdtempSync(join(tmpdir(), "slipway-full-"));
    const disk = join(directory, "disk");
    mkdirSync(disk);
    await must("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk);
    const flags = [
      "-H",
      `unix://${directory}/s.sock`,
      "--data-root",
      join(disk, "data"),
      "--exec-root",
      join(directory, "exec"),
      "--pidfile",
      join(directory, "pid"),
    ];
    const daemon = Bun.spawn([SLIPWAY, "daemon", ...flags], { stdout: "ignore", stderr: "ignore" });
    try {
      const env = { DOCKER_HOST: `unix://${directory}/s.sock` };
      while (!existsSync(join(directory, "s.sock"))) await Bun.sleep(5);
      const random = crypto.getRandomValues(new Uint8Array(65536));
      const big = archive(tar(Array.from({ length: 640 }, (_, n) => ({ name: `f${n}`, content: random }))));
      const output = await run([SLIPWAY, "load"], { env, stdin: big });
      expect(output.code).toBe(1);
      expect(output.stderr.toLowerCase()).toContain("no space left");
      expect((await run([SLIPWAY, "images", "-q"], { env })).stdout).toBe("");
      const small = archive(tar([{ name: "x", content: "x" }]));
      expect((await run([SLIPWAY, "load", "-q"], { env, stdin: small })).stdout).toBe("Loaded image: hostile:1\n");
    } finally {
      daemon.kill("SIGTERM");
      await daemon.exited;
      await must("umount", disk);
      rmSync(directory, { recursive: true });
    }
  }, 60_000);
});

describe("wrong usage", () => {
  test.each([
    [["bulid", "."], "build"],
    [["ps", "--al"], "--all"],
    [["container", "lst"], "ls"],
  ])("%p is answered with the nearest real one", async (argv, nearest) => {
    const output = await engine.slipway(argv);
    expect(output.code).not.toBe(0);
    expect(output.stderr).toContain(nearest);
  });

  test.each([
    [["rm", "nobody"], "No such container: nobody"],
    [["rmi", "nothing"], "No such image: nothing"],
    [["start", "nobody"], "No such container: nobody"],
    [["tag", BASE, "Bad:Name"], "invalid reference format"],
    [["run", "--rm", "-p", "99999:80", BASE], "99999"],
    [["run", "--rm", "-v", "relative/path:/x:zz", BASE], "invalid"],
  ])("%p says what is wrong", async (argv, message) => {
    const output = await engine.slipway(argv);
    expect(output.code).not.toBe(0);
    expect(output.stderr.toLowerCase()).toContain(message.toLowerCase());
  });

  test("a socket where nothing listens is named, with what to do", async () => {
    const output = await run([SLIPWAY, "-H", "unix:///tmp/no-such.sock", "ps"]);
    expect(output.code).toBe(1);
    expect(output.stderr).toContain("/tmp/no-such.sock");
  });

  test("every command has a help text", async () => {
    for (const command of [
      "build",
      "run",
      "exec",
      "ps",
      "logs",
      "stop",
      "kill",
      "start",
      "rm",
      "wait",
      "images",
      "rmi",
      "tag",
      "history",
      "inspect",
      "save",
      "load",
      "import",
      "version",
      "info",
      "system df",
      "system prune",
      "daemon",
    ]) {
      const output = await run([SLIPWAY, ...command.split(" "), "--help"]);
      expect(output.code).toBe(0);
      expect(output.stdout).toContain("Usage:");
    }
  });

  test("a file that cannot be read is named", async () => {
    const path = join(engine.root, "absent.tar");
    const output = await engine.slipway(["load", "-i", path]);
    expect(output.code).toBe(1);
    expect(output.stderr).toContain(path);
  });
});

async function must(...argv: string[]): Promise<void> {
  const output = await run(argv);
  if (output.code !== 0) throw new Error(output.stderr);
}
