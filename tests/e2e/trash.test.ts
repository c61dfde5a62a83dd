import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { BASE, Engine } from "./harness.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start(["--trash-size", "1g"]);
});
afterAll(() => engine[Symbol.asyncDispose]());

/** An image of its own and a volume that a container has written to; the container is gone. */
async function make(image: string, volume: string): Promise<void> {
  await engine.ok(
    "build",
    "-q",
    "-t",
    image,
    engine.context({ Dockerfile: `FROM ${BASE}\nRUN echo ${image} > /which\n` }),
  );
  await engine.ok("volume", "create", "--label", "team=blue", volume);
  await engine.ok(
    "run",
    "--rm",
    "--network",
    "none",
    "-v",
    `${volume}:/d`,
    image,
    "sh",
    "-c",
    `echo ${volume} > /d/file`,
  );
}

const readVolume = (image: string, volume: string) =>
  engine.ok("run", "--rm", "--network", "none", "-v", `${volume}:/d`, image, "cat", "/which", "/d/file");

test("system undo brings back images and volumes that a prune took, over a restart and a kill of the daemon", async () => {
  await make("first:1", "data");
  const plan = await engine.ok("volume", "prune", "-a", "--dry-run");
  expect(plan).toMatch(
    /^KIND +ID +NAME +WHAT +LAST USED +SIZE +GOES\nvolume +data +local +\S.* ago +5B +to the trash\n/,
  );
  expect(plan).toEndWith("\nSpace to be reclaimed: 0B\nSpace that the trash keeps for a time: 5B");

  const pruned = await engine.ok("volume", "prune", "-af");
  expect(pruned).toMatch(
    /^Deleted Volumes:\ndata\n\nIn the trash for 24 hours: 5B\n {2}slipway system undo .*\n.*\n\nTotal reclaimed space: 0B$/,
  );
  const images = await engine.ok("image", "prune", "-af");
  expect(images).toMatch(
    /^Deleted Images:\n[\s\S]*untagged: first:1\n[\s\S]*In the trash for 24 hours: [\s\S]*\nTotal reclaimed space: 0B$/,
  );
  expect(await engine.ok("images", "-q")).toBe("");

  await engine.stopDaemon("SIGKILL");
  await engine.startDaemon();
  expect(await engine.ok("system", "undo", "--list")).toMatch(
    /^PRUNE +ITEM +KIND +NAME +PRUNED +STAYS FOR +SIZE\n(?:.*\n)*\w{12} +\w{12} +volume +data +.* ago +2[34] hours +5B\n\nIn the trash: \S+, of 1.07GB at most$/,
  );
  expect(await engine.ok("system", "undo")).toMatch(
    /^Restored image: \w{12} first:1$|^Restored image: .*\nRestored image: /,
  );
  expect(await engine.ok("system", "df", "-v")).toMatch(/\nTrash usage: \S+ \(slipway system trash ls\)$/);
  expect(await engine.ok("__complete", "--line", "slipway system undo ")).toMatch(/^\w{12}\tvolume data$/m);
  const prune = (await engine.ok("system", "trash", "ls")).split("\n")[1]?.split(" ")[0] ?? "";
  expect(await engine.ok("system", "undo", prune)).toBe("Restored volume: data");
  expect(await readVolume("first:1", "data")).toBe("first:1\ndata");
  expect(await engine.ok("volume", "inspect", "-f", "{{.Labels.team}}", "data")).toBe("blue");
  expect((await engine.slipway(["system", "undo"])).stderr).toContain("nothing that was pruned can be brought back");
});

test("system prune is one prune; --json tells the plan before and the result after, questions go to stderr", async () => {
  await make("second:1", "unused");
  await engine.ok("rmi", "second:1");
  await engine.ok("run", "-d", "--name", "ended", "-v", "/anonymous", "--network", "none", BASE, "true");
  await engine.ok("wait", "ended");
  interface Plan {
    readonly Items: readonly {
      readonly Kind: string;
      readonly LastUsed: string;
      readonly Size: number;
      readonly Trash?: boolean;
    }[];
  }
  const argv = ["system", "prune", "-a", "--volumes", "--json"];
  const plan = JSON.parse(await engine.ok(...argv, "--dry-run")) as Plan;
  for (const { LastUsed } of plan.Items) expect(Date.parse(LastUsed)).toBeGreaterThan(Date.now() - 3600_000);
  expect(plan.Items.filter(({ Trash }) => Trash === true).map(({ Kind }) => Kind)).toEqual(
    expect.arrayContaining(["volume", "image"]),
  );
  const refused = await engine.slipway(argv, { stdin: "n\n" });
  expect([refused.stdout, refused.stderr]).toEqual([
    "",
    expect.stringContaining("Are you sure you want to continue? [y/N] "),
  ]);
  const { stdout } = await engine.slipway(argv, { stdin: "y\n" });
  const result = JSON.parse(stdout) as Plan & {
    readonly Reports: readonly { readonly Kind: string; readonly SpaceReclaimed: number }[];
    readonly SpaceReclaimed: number;
    readonly Trash: { readonly Id: string; readonly Size: number; readonly Until: string };
  };
  expect(result.Reports.map(({ Kind }) => Kind)).toEqual(["container", "network", "volume", "image", "builder"]);
  expect(result.Items.map(({ Kind }) => Kind)).toEqual(plan.Items.map(({ Kind }) => Kind));
  expect(Date.parse(result.Trash.Until) - Date.now()).toBeGreaterThan(23 * 3600_000);
  await engine.ok("system", "undo", result.Trash.Id);
  expect(await engine.ok("run", "--rm", "--network", "none", BASE, "echo", "back")).toBe("back");
});

test("each prune speaks JSON, also alone", async () => {
  for (const kind of ["container", "network", "volume", "image", "builder"]) {
    expect(JSON.parse(await engine.ok(kind, "prune", "--dry-run", "--json"))).toHaveProperty("Items");
    const result = JSON.parse(await engine.ok(kind, "prune", "-f", "--json")) as { Reports: { Kind: string }[] };
    expect(result.Reports.map(({ Kind }) => Kind)).toEqual([kind]);
  }
});

test("a name that is taken is told, and --as brings the volume back beside it", async () => {
  await make("third:1", "shared");
  await engine.ok("volume", "prune", "-f", "-a");
  await engine.ok("volume", "create", "shared");
  const { code, stderr } = await engine.slipway(["system", "undo", "shared"]);
  expect([code, stderr]).toEqual([1, expect.stringContaining("a volume named shared already exists")]);
  expect(stderr).toMatch(/slipway system undo \w{12} --as NAME/);
  expect(await engine.ok("system", "undo", "shared", "--as", "shared-old")).toBe("Restored volume: shared-old");
  expect(await readVolume("third:1", "shared-old")).toBe("third:1\nshared");
});

test("what is pruned can be built and loaded again while it is in the trash, and undone after that", async () => {
  await make("fourth:1", "other");
  const id = await engine.ok("images", "-q", "--no-trunc", "fourth:1");
  await engine.ok("builder", "prune", "-af");
  await engine.ok("save", "-o", join(engine.root, "fourth.tar"), "fourth:1");
  await engine.ok("tag", "fourth:1", "fifth:1");
  await engine.ok("image", "prune", "-af");
  await engine.ok("load", "-q", "-i", join(engine.root, "fourth.tar"));
  expect(await engine.ok("images", "-q", "--no-trunc", "fourth:1")).toBe(id);
  await engine.ok("system", "undo");
  expect(await engine.ok("images", "-q", "--no-trunc", "fifth:1")).toBe(id);
  expect(await engine.ok("run", "--rm", "--network", "none", "fifth:1", "cat", "/which")).toBe("fourth:1");
});

test("--no-trash and trash empty free the space: nothing is left on the disk", async () => {
  await make("last:1", "gone");
  await engine.ok("rmi", "last:1");
  expect(await engine.ok("volume", "prune", "-af", "--no-trash")).toMatch(
    /Deleted Volumes:[\s\S]*\nTotal reclaimed space: [1-9]\d*B$/,
  );
  await engine.ok("system", "prune", "-af");
  expect(await engine.ok("images", "-q")).toBe("");
  const { stdout } = await engine.slipway(["system", "trash", "empty"], { stdin: "y\n" });
  expect(stdout).toMatch(
    /^WARNING! This will remove everything in the trash for good\.\n[\s\S]*\nTotal reclaimed space: [\d.]+MB\n$/,
  );
  expect(await engine.ok("system", "trash", "ls")).toBe("In the trash: 0B, of 1.07GB at most");
  expect(readdirSync(join(engine.dataRoot, "restorable"))).toEqual([]);
  expect(readdirSync(join(engine.dataRoot, "layers"))).toEqual([]);
});
