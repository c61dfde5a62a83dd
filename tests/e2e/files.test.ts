import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { tarOf } from "@slipway/testkit";
import { BASE, Engine, run, SLIPWAY } from "./harness.ts";

let engine: Engine;
let work: string;
beforeAll(async () => {
  engine = await Engine.start();
  work = join(engine.root, "work");
  mkdirSync(join(work, "tree/sub"), { recursive: true });
  writeFileSync(join(work, "a"), "alpha\n", { mode: 0o640 });
  writeFileSync(join(work, "tree/sub/b"), "beta\n");
  symlinkSync("sub/b", join(work, "tree/link"));
  await engine.ok("run", "-d", "--name", "up", "--network", "none", "-v", "vol:/vol", BASE, "sleep", "1000");
  await engine.ok(
    "create",
    "--name",
    "down",
    "--network",
    "none",
    "-v",
    "vol2:/data/deep",
    BASE,
    "cat",
    "/data/deep/a",
  );
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

for (const name of ["up", "down"]) {
  const volume = name === "up" ? "/vol" : "/data/deep";
  test(`cp brings files into ${name} and out again`, async () => {
    await engine.ok("cp", join(work, "a"), `${name}:/root-a`);
    await engine.ok("cp", `${name}:/root-a`, join(work, `out-${name}`));
    expect(readFileSync(join(work, `out-${name}`), "utf8")).toBe("alpha\n");
    expect(statSync(join(work, `out-${name}`)).mode & 0o777).toBe(0o640);
  });

  test(`cp brings trees into ${name}: under their name, under another, or only what is in them`, async () => {
    await engine.ok("cp", join(work, "tree"), `${name}:/tmp`);
    await engine.ok("cp", join(work, "tree"), `${name}:/tmp/renamed`);
    await engine.ok("cp", `${join(work, "tree")}/.`, `${name}:/tmp/content`);
    for (const path of ["tree", "renamed", "content"]) {
      await engine.ok("cp", `${name}:/tmp/${path}/.`, join(work, `${name}-${path}`));
      expect(readFileSync(join(work, `${name}-${path}/link`), "utf8")).toBe("beta\n");
    }
  });

  test(`cp writes through a volume of ${name}`, async () => {
    await engine.ok("cp", join(work, "a"), `${name}:${volume}/a`);
    const source = await engine.ok("inspect", "--format", "{{(index .Mounts 0).Source}}", name);
    expect(readFileSync(join(source, "a"), "utf8")).toBe("alpha\n");
  });

  test(`cp streams tars of ${name}`, async () => {
    const tar = tarOf([{ name: "streamed", type: "file", content: "tar\n", uid: 7 }]);
    expect((await engine.slipway(["cp", "-", `${name}:/tmp`], { stdin: tar })).code).toBe(0);
    expect(await engine.ok("cp", `${name}:/tmp/streamed`, "-")).toContain("tar\n");
  });

  test(`hostile archives reach nothing outside of ${name}`, async () => {
    const outside = join(engine.root, `outside-${name}`);
    const evil = [
      tarOf([{ name: "../../../../../../../..".concat(outside), type: "file", content: "evil" }]),
      tarOf([
        { name: "way", type: "symlink", linkname: engine.root },
        { name: `way/outside-${name}`, type: "file", content: "evil" },
      ]),
      tarOf([{ name: "hard", type: "link", linkname: "../../../etc/passwd" }]),
    ];
    for (const stdin of evil) await engine.slipway(["cp", "-", `${name}:/tmp`], { stdin });
    expect(existsSync(outside)).toBe(false);
    const refused = await engine.slipway(["cp", "-", `${name}:/tmp`], { stdin: evil[0] ?? "" });
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toContain("leads out of the directory");
  });

  test(`links of ${name} are followed inside its root`, async () => {
    await engine.ok("cp", `${name}:/etc/passwd`, join(work, "theirs"));
    symlinkSync("/etc/passwd", join(work, `link-${name}`));
    await engine.ok("cp", join(work, `link-${name}`), `${name}:/tmp/link`);
    await engine.ok("cp", "-L", `${name}:/tmp/link`, join(work, `followed-${name}`));
    expect(readFileSync(join(work, `followed-${name}`))).toEqual(readFileSync(join(work, "theirs")));
  });

  test(`missing things are named as Docker names them, for ${name}`, async () => {
    const missing = await engine.slipway(["cp", `${name}:/no/such`, work]);
    expect(missing).toMatchObject({ code: 1 });
    expect(missing.stderr).toContain(
      `Error response from daemon: Could not find the file /no/such in container ${name}`,
    );
    const directory = await engine.slipway(["cp", join(work, "tree"), `${name}:/etc/passwd`]);
    expect(directory).toMatchObject({ code: 1 });
    expect(directory.stderr).toContain("cannot copy directory");
  });
}

test("the created container still starts and sees what was copied", async () => {
  expect(await engine.ok("start", "-a", "down")).toBe("alpha");
});

test("what is copied belongs to root, with -a to its owner", async () => {
  const tar = tarOf([{ name: "owned", type: "file", content: "x", uid: 1234, gid: 77 }]);
  const owner = async (...flags: string[]) => {
    await engine.slipway(["cp", ...flags, "-", "up:/tmp"], { stdin: tar });
    return engine.ok("exec", "up", "stat", "-c", "%u:%g", "/tmp/owned");
  };
  expect(await owner()).toBe("0:0");
  expect(await owner("-a")).toBe("1234:77");
});

test("both ends in containers, or none, are refused", async () => {
  expect((await engine.slipway(["cp", "up:/a", "down:/b"])).stderr).toContain("copying between containers");
  expect((await engine.slipway(["cp", "/a", "/b"])).stderr).toContain("must specify at least one container source");
  expect((await engine.slipway(["cp", "none:/a", work])).stderr).toContain("No such container: none");
});

test("a read-only root is refused", async () => {
  await engine.ok("run", "-d", "--name", "ro", "--read-only", "--network", "none", BASE, "sleep", "1000");
  const refused = await engine.slipway(["cp", join(work, "a"), "ro:/a"]);
  expect(refused.stderr).toContain("container rootfs is marked read-only");
});

test("diff tells what was added, changed and deleted", async () => {
  await engine.ok("run", "--name", "idle", "--network", "none", BASE, "true");
  expect(await engine.ok("diff", "idle")).toBe("");
  const script = "echo x >> /etc/passwd; echo new > /new; rm /etc/group; mkdir /made; touch /made/in";
  await engine.ok("run", "--name", "busy", "--network", "none", BASE, "sh", "-c", script);
  expect((await engine.ok("diff", "busy")).split("\n")).toEqual([
    "C /etc",
    "D /etc/group",
    "C /etc/passwd",
    "A /made",
    "A /made/in",
    "A /new",
  ]);
});

test("export gives the files of a container as an image that runs", async () => {
  const archive = join(work, "root.tar");
  await engine.ok("export", "-o", archive, "busy");
  await engine.ok("import", "--change", 'CMD ["cat", "/new"]', archive, "exported");
  expect(await engine.ok("run", "--rm", "--network", "none", "exported")).toBe("new");
  const live = await engine.slipway(["export", "up"]);
  expect(live.code).toBe(0);
});

test("commit makes an image of a running container, which goes on", async () => {
  await engine.ok("exec", "up", "sh", "-c", "echo committed > /state; rm /etc/group");
  const id = await engine.ok(
    "commit",
    "-a",
    "me",
    "-m",
    "why",
    "-c",
    'CMD ["cat", "/state"]',
    "-c",
    "ENV A=b",
    "up",
    "made:1",
  );
  expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(await engine.ok("run", "--rm", "--network", "none", "made:1")).toBe("committed");
  expect(await engine.ok("run", "--rm", "--network", "none", "made:1", "ls", "/etc")).not.toContain("group");
  const inspect = "{{.Author}} {{.Comment}} {{.Config.Env}}";
  expect(await engine.ok("image", "inspect", "--format", inspect, "made:1")).toMatch(/^me why .*A=b/);
  expect(await engine.ok("inspect", "--format", "{{.State.Status}}", "up")).toBe("running");
  await engine.ok("exec", "up", "sh", "-c", "echo later > /state");
  expect(await engine.ok("run", "--rm", "--network", "none", "made:1")).toBe("committed");
});

test("commit takes stopped containers, and refuses bad changes and names", async () => {
  const id = await engine.ok("commit", "busy");
  expect(await engine.ok("run", "--rm", "--network", "none", id, "cat", "/new")).toBe("new");
  expect((await engine.slipway(["commit", "-c", "RUN x", "busy"])).code).toBe(1);
  expect((await engine.slipway(["commit", "busy", "Bad Name"])).code).toBe(1);
  expect((await engine.slipway(["commit", "none"])).stderr).toContain("No such container: none");
});

for (const name of ["up", "down"]) {
  test(`cp brings a large file into ${name} and out again with mode and time, in place of what is there`, async () => {
    const content = Buffer.alloc(5_000_003, "large ");
    writeFileSync(join(work, "large"), content, { mode: 0o750 });
    utimesSync(join(work, "large"), 1_600_000_000, 1_600_000_000);
    for (let round = 0; round < 2; round++) {
      await engine.ok("cp", join(work, "large"), `${name}:/root/large`);
      await engine.ok("cp", `${name}:/root/large`, join(work, "large-out"));
      const out = join(work, "large-out");
      expect(readFileSync(out).equals(content)).toBe(true);
      expect(statSync(out).mode & 0o777).toBe(0o750);
      expect(statSync(out).mtimeMs).toBe(1_600_000_000_000);
    }
    expect((await engine.slipway(["cp", join(work, "large"), `${name}:/root/large/x`])).code).toBe(1);
    expect((await engine.slipway(["cp", join(work, "large"), `${name}:/no/such/large`])).stderr).toContain(
      "Could not find the file /no/such",
    );
    const said = await engine.slipway(["cp", "-q=false", join(work, "large"), `${name}:/root/large`]);
    expect(said.stderr).toContain("Successfully copied 5MB");
  });
}

test("cp of a large file for somebody whose engine sees another process keeps to the archive", async () => {
  const proxy = join(engine.root, "proxy.sock");
  const server = createServer((client) => {
    client.pipe(connect(engine.socket)).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(proxy, resolve));
  try {
    const content = Buffer.alloc(2_000_003, "proxied ");
    writeFileSync(join(work, "proxied"), content);
    const env = { DOCKER_HOST: `unix://${proxy}` };
    expect((await run([SLIPWAY, "cp", join(work, "proxied"), "up:/root/proxied"], { env })).code).toBe(0);
    expect((await run([SLIPWAY, "cp", "up:/root/proxied", join(work, "proxied-out")], { env })).code).toBe(0);
    expect(readFileSync(join(work, "proxied-out")).equals(content)).toBe(true);
  } finally {
    server.close();
  }
});
