import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { baseRootTar } from "@slipway/testkit";
import { BASE, Engine } from "./harness.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
  await engine.ok(
    "build",
    "-q",
    "-t",
    "app:1",
    "--label",
    "who=me",
    engine.context({ Dockerfile: `FROM ${BASE}\nENV A=1\nRUN echo x > /x\nCMD ["cat", "/x"]\n` }),
  );
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

test("images lists names, and filters them", async () => {
  const rows = (await engine.ok("images", "--format", "{{.Repository}}:{{.Tag}}")).split("\n");
  expect(rows).toContain("app:1");
  expect(rows).toContain(`${BASE}:latest`);
  expect(await engine.ok("images", "--filter", "label=who=me", "--format", "{{.Repository}}")).toBe("app");
  expect(await engine.ok("images", "-q", "app")).toMatch(/^[0-9a-f]{12}$/);
});

test("tag adds a name, rmi takes names away one by one and the image with the last", async () => {
  await engine.ok("tag", "app:1", "registry.example.org/team/app:2");
  const id = await engine.ok("image", "inspect", "--format", "{{.Id}}", "registry.example.org/team/app:2");
  expect(await engine.ok("rmi", "registry.example.org/team/app:2")).toBe("Untagged: registry.example.org/team/app:2");
  expect(await engine.ok("image", "inspect", "--format", "{{.Id}}", "app:1")).toBe(id);
});

test("an image in use is not removed without force", async () => {
  await engine.ok("build", "-q", "-t", "used", engine.context({ Dockerfile: "FROM scratch\nCOPY a /\n", a: "used" }));
  await engine.ok("create", "--name", "user", "--network", "none", "used", "/a");
  const refused = await engine.slipway(["rmi", "used"]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("conflict");
  await engine.ok("rm", "user");
  expect(await engine.ok("rmi", "used")).toMatch(/^Untagged: used:latest\nDeleted: sha256:/);
});

test("history tells the instructions, newest first", async () => {
  const rows = (await engine.ok("history", "--no-trunc", "--format", "{{.CreatedBy}}", "app:1")).split("\n");
  expect(rows[0]).toContain('CMD ["cat" "/x"]');
  expect(rows[1]).toContain("echo x > /x");
  expect(rows[2]).toContain("ENV A=1");
});

test("inspect prints templates and JSON", async () => {
  expect(await engine.ok("inspect", "--format", "{{json .Config.Env}} {{index .RepoTags 0}}", "app:1")).toMatch(
    /^\[.*"A=1"\] app:1$/,
  );
  const [document] = JSON.parse(await engine.ok("inspect", "app:1")) as {
    Config: { Labels: Record<string, string> };
  }[];
  expect(document?.Config.Labels).toEqual({ who: "me" });
  const missing = await engine.slipway(["inspect", "no-such-thing"]);
  expect(missing).toMatchObject({ code: 1, stdout: "[]\n" });
});

describe("archives", () => {
  test("what is saved loads again under the same ID and runs", async () => {
    const archive = join(engine.root, "app.tar");
    const id = await engine.ok("image", "inspect", "--format", "{{.Id}}", "app:1");
    await engine.ok("save", "-o", archive, "app:1");
    await using other = await Engine.start();
    expect(await other.ok("load", "-i", archive)).toBe("Loaded image: app:1");
    expect(await other.ok("image", "inspect", "--format", "{{.Id}}", "app:1")).toBe(id);
    expect(await other.ok("run", "--rm", "--network", "none", "app:1")).toBe("x");
  });

  test("a repository without a tag is saved with all of its tags", async () => {
    await engine.ok("tag", "app:1", "several:one");
    await engine.ok("tag", BASE, "several:two");
    const path = join(engine.root, "several.tar");
    await engine.ok("save", "-o", path, "several");
    const tar = Bun.spawnSync(["tar", "-xOf", path, "manifest.json"]).stdout.toString();
    const tags = (JSON.parse(tar) as { RepoTags: string[] }[]).flatMap(({ RepoTags }) => RepoTags);
    expect(tags.sort()).toEqual(["several:one", "several:two"]);
    await engine.ok("rmi", "several:one", "several:two");
  });

  test("saving twice gives the same bytes", async () => {
    const digest = async (name: string) => {
      await engine.ok("save", "-o", join(engine.root, name), "app:1");
      return createHash("sha256")
        .update(readFileSync(join(engine.root, name)))
        .digest("hex");
    };
    expect(await digest("one.tar")).toBe(await digest("two.tar"));
  });

  test("compressed archives load from standard input", async () => {
    await engine.ok("save", "-o", join(engine.root, "plain.tar"), "app:1");
    const gzipped = Bun.gzipSync(readFileSync(join(engine.root, "plain.tar")));
    expect((await engine.slipway(["load", "-q"], { stdin: gzipped })).stdout).toBe("Loaded image: app:1\n");
  });

  test("import makes an image of a root file system", async () => {
    const tar = join(engine.root, "root.tar");
    writeFileSync(tar, baseRootTar());
    const id = await engine.ok("import", "--change", 'CMD ["echo", "imported"]', tar, "imported:1");
    expect(id).toMatch(/^sha256:/);
    expect(await engine.ok("run", "--rm", "--network", "none", "imported:1")).toBe("imported");
  });
});

test("version, info and system df answer, also as templates", async () => {
  expect(await engine.ok("version", "--format", "{{.Server.APIVersion}}")).toMatch(/^1\.\d+$/);
  expect(await engine.ok("info", "--format", "{{.OSType}}/{{.DockerRootDir}}")).toBe(`linux/${engine.dataRoot}`);
  expect(await engine.ok("system", "df")).toContain("Images");
});

test("prune shows its plan before it asks, --dry-run shows it alone; both remove nothing", async () => {
  await engine.ok("run", "--name", "planned", "-v", "/data", BASE, "sh", "-c", "head -c 5000 /dev/zero > /data/file");
  const shown = await engine.ok("container", "prune", "--dry-run");
  expect(shown).toMatch(/^KIND +ID +NAME +WHAT +LAST USED +SIZE\ncontainer +[0-9a-f]{12} +planned +Exited \(0\) /);
  const asked = await engine.slipway(["container", "prune"], { stdin: "n\n" });
  expect(asked.stdout).toMatch(
    /^WARNING! This will remove all stopped containers\.\n\nKIND [\s\S]*planned[\s\S]*\nSpace to be reclaimed: /,
  );
  expect(asked.stdout).toEndWith("Are you sure you want to continue? [y/N] ");
  // The volume is free only because the container goes first.
  expect(await engine.ok("system", "prune", "--volumes", "--dry-run")).toMatch(
    /\nvolume +[0-9a-f]{64} .*5kB +to the trash\n/,
  );
  expect(await engine.ok("volume", "prune", "--dry-run")).toMatch(/^Nothing would be removed\.\n/);
  expect(await engine.ok("ps", "-aq", "-f", "name=planned")).not.toBe("");
  await engine.ok("rm", "-fv", "planned");
});

test("system prune frees what its plan said, the build cache of images that go first included", async () => {
  const planned = await Engine.start();
  await using _ = planned;
  for (const word of ["one", "two"]) {
    await planned.ok(
      "build",
      "-q",
      "-t",
      "again",
      planned.context({ Dockerfile: `FROM ${BASE}\nRUN head -c 300000 /dev/urandom > /${word}\n` }),
    );
  }
  await planned.ok("run", "--name", "done", "again", "sh", "-c", "head -c 70000 /dev/zero > /x");
  const plan = await planned.ok("system", "prune", "--dry-run");
  expect(plan).toMatch(/\nimage +[0-9a-f]{12} +<none>/);
  expect(plan).toMatch(/\nbuild cache /);
  const said = /^Space to be reclaimed: (\S+)$/m.exec(plan)?.[1];
  const freed = /Total reclaimed space: (\S+)$/.exec(await planned.ok("system", "prune", "-f"))?.[1];
  expect(freed).toBe(said ?? "");
  expect(await planned.ok("system", "prune", "--dry-run")).toBe("Nothing would be removed.\nSpace to be reclaimed: 0B");
}, 60_000);

test("system prune removes what stopped and what has no name, and nothing else", async () => {
  await engine.ok("build", "-q", engine.context({ Dockerfile: `FROM ${BASE}\nRUN echo dangling > /d\n` }));
  await engine.ok("run", "--name", "done", "--network", "none", BASE, "true");
  await engine.ok("system", "prune", "-f");
  expect(await engine.ok("images", "-q", "--filter", "dangling=true")).toBe("");
  expect(await engine.ok("ps", "-aq")).toBe("");
  expect(await engine.ok("run", "--rm", "--network", "none", "app:1")).toBe("x");
});

test("image diff tells which files differ between two images, and by how much", async () => {
  const files = {
    Dockerfile: `FROM ${BASE}\nCOPY data /data\n`,
    "data/kept": "same",
    "data/text": "old",
    "data/old": "x",
  };
  await engine.ok("build", "-q", "-t", "diffed:1", engine.context(files));
  const { "data/old": _, ...rest } = files;
  const context = engine.context({ ...rest, "data/text": "newer", "data/new": "n" });
  await engine.ok("build", "-q", "-t", "diffed:2", context);
  expect(await engine.slipway(["image", "diff", "diffed:1", "diffed:2"])).toEqual({
    code: 0,
    stdout: "A /data/new\t1B\nD /data/old\t1B\nC /data/text\t3B -> 5B\n",
    stderr: "1 added (+1B), 1 changed (+2B), 1 removed (-1B): +2B in all\n",
  });
  expect(await engine.ok("image", "diff", "-q", "diffed:2", "diffed:2")).toBe("");
  const unknown = await engine.slipway(["image", "diff", "diffed:1", "difed:2"]);
  expect(unknown).toMatchObject({ code: 1, stdout: "" });
  expect(unknown.stderr).toContain("No such image: difed:2");
});
