import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "../../run-cli.ts";
import { TestIo } from "../../testing/test-io.ts";

const ITEM = {
  ...{ Id: "1f0000000000", Prune: "9a0000000000", Kind: "volume", Target: "data", Names: ["data"], Size: 5_000_000 },
  ...{ PrunedAt: new Date(Date.now() - 3600_000).toISOString(), Until: new Date(Date.now() + 7200_500).toISOString() },
};
const TAKEN = { message: "a volume named data already exists", hint: "Bring it back under another name" };
const ANSWERS: Readonly<Record<string, unknown>> = {
  "GET /slipway/trash": { Items: [ITEM], Size: 5_000_000, MaxSize: 10_000_000 },
  "POST /slipway/trash/restore": {
    Prune: ITEM.Prune,
    Restored: [{ Kind: "image", Id: `sha256:${"ab".repeat(32)}`, Names: ["app:1"], NamesTaken: ["app:2"] }],
    Failed: [{ ...ITEM, Error: TAKEN }],
  },
  "POST /slipway/trash/data/restore?as=other": {
    Prune: ITEM.Prune,
    Restored: [{ Kind: "volume", Id: "other", Names: ["other"], NamesTaken: [] }],
    Failed: [],
  },
  "DELETE /slipway/trash": { Items: [ITEM], SpaceReclaimed: 5_000_000 },
  "POST /slipway/prune-plan": {
    Items: [{ Kind: "volume", Id: "data", Name: "data", Detail: "local", Size: 5, LastUsed: ITEM.PrunedAt }],
    SpaceReclaimed: 5,
    SpaceInTrash: 0,
  },
  "POST /volumes/prune": { VolumesDeleted: ["v1"], SpaceReclaimed: 12 },
};

let directory: string;
let socket: string;
let server: Bun.Server<undefined>;
/** Whether it is Slipway's engine, or one without a trash. */
let isOurs = true;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "slipway-cli-"));
  socket = join(directory, "s.sock");
  server = Bun.serve({
    unix: socket,
    fetch(request) {
      const url = new URL(request.url);
      const path = `${url.pathname.replace(/^\/v[\d.]+/, "")}${url.pathname.includes("/slipway/") ? url.search : ""}`;
      if (path === "/_ping") return new Response("OK", { headers: { "Api-Version": "1.50", Ostype: "linux" } });
      const answer = isOurs || !path.startsWith("/slipway/") ? ANSWERS[`${request.method} ${path}`] : undefined;
      return answer === undefined
        ? Response.json({ message: "page not found" }, { status: 404 })
        : Response.json(answer);
    },
  });
});
afterAll(async () => {
  await server.stop(true);
  rmSync(directory, { recursive: true });
});

async function run(line: string, stdin = ""): Promise<{ status: number; stdout: string; stderr: string }> {
  const io = new TestIo({ stdin, env: { DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: directory } });
  const status = await runCli(line.split(" "), io);
  return { status, stdout: io.stdout.text, stderr: io.stderr.text };
}

test("what can be brought back is listed with size and time, by two names of one command", async () => {
  isOurs = true;
  const { stdout } = await run("system trash ls");
  expect(stdout).toBe(
    [
      "PRUNE          ITEM           KIND      NAME      PRUNED              STAYS FOR   SIZE",
      "9a0000000000   1f0000000000   volume    data      About an hour ago   2 hours     5MB",
      "",
      "In the trash: 5MB, of 10MB at most\n",
    ].join("\n"),
  );
  expect((await run("system undo --list")).stdout).toBe(stdout);
  expect((await run("system trash ls -q")).stdout).toBe("1f0000000000\n");
  expect(JSON.parse((await run("system trash ls --json")).stdout)).toEqual(ANSWERS["GET /slipway/trash"]);
});

test("undo tells what came back, which names did not, and what stays and why", async () => {
  isOurs = true;
  expect(await run("system undo")).toEqual({
    status: 1,
    stdout: "Restored image: abababababab app:1\n",
    stderr: [
      "app:2 is another image's name by now; it was not taken back",
      "Error: volume data stays in the trash: a volume named data already exists",
      "Bring it back under another name\n",
    ].join("\n"),
  });
  expect(await run("system undo data --as other")).toEqual({
    ...{ status: 0, stdout: "Restored volume: other\n", stderr: "" },
  });
});

test("the trash is emptied after a question, or at once with -f", async () => {
  isOurs = true;
  const asked = await run("system trash empty", "n\n");
  expect(asked.stdout).toBe(
    "WARNING! This will remove everything in the trash for good.\nAre you sure you want to continue? [y/N] ",
  );
  expect((await run("system trash empty -f")).stdout).toBe("data\nTotal reclaimed space: 5MB\n");
});

test("a plan says when the trash keeps nothing, unless nothing is to be kept", async () => {
  isOurs = true;
  const off = "The trash keeps nothing now: it is off, or the disk is full.\n";
  expect((await run("volume prune --dry-run")).stdout).toEndWith(`\nSpace to be reclaimed: 5B\n${off}`);
  expect((await run("volume prune", "n\n")).stdout).toContain(off);
  expect((await run("volume prune --dry-run --no-trash")).stdout).toEndWith("\nSpace to be reclaimed: 5B\n");
});

test("an engine without a trash says so, and a prune of it is Docker's", async () => {
  isOurs = false;
  for (const line of ["system undo", "system trash ls", "system trash empty -f"]) {
    const { status, stderr } = await run(line);
    expect([status, stderr]).toEqual([1, expect.stringContaining("this engine has no trash")]);
  }
  expect((await run("volume prune -f")).stdout).toBe("Deleted Volumes:\nv1\n\nTotal reclaimed space: 12B\n");
  expect(JSON.parse((await run("volume prune -f --json")).stdout)).toEqual({
    Reports: [{ Kind: "volume", VolumesDeleted: ["v1"], SpaceReclaimed: 12 }],
    SpaceReclaimed: 12,
  });
});
