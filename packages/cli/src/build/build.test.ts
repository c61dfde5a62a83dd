import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { END_OF_ARCHIVE, encodeTarHeader, padding, readTar, type TarHeaderInput } from "@slipway/tar";
import { runCli } from "../run-cli.ts";
import { TestIo, type TestIoOptions } from "../testing/test-io.ts";
import { contextTar } from "./context-tar.ts";
import { readAgents, readSecrets } from "./credentials.ts";
import { parseOutput } from "./outputs.ts";
import { reasonText } from "./reasons.ts";
import { unpackTree } from "./unpack-tree.ts";
import type { BuildLine } from "./wire.ts";

let directory: string;
let engines = 0;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "slipway-build-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function makeDirectory(files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(directory, "context-"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(path, name, ".."), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  return path;
}

interface Answer {
  readonly lines?: readonly (BuildLine | object)[];
  readonly refuse?: { readonly status: number; readonly body: object };
  readonly output?: Uint8Array;
}

/** An engine that knows builds only. */
async function build(argv: readonly string[], answer: Answer, options: TestIoOptions = {}) {
  const requests: { line: string; body: string }[] = [];
  const socket = join(directory, `${engines++}.sock`);
  const server = Bun.serve({
    unix: socket,
    async fetch(request) {
      const line = `${request.method} ${new URL(request.url).pathname.replace(/^\/v[\d.]+/, "")}`;
      requests.push({ line: line + new URL(request.url).search, body: await request.text() });
      if (line.startsWith("GET /_ping")) return new Response("OK", { headers: { "Api-Version": "1.51" } });
      if (line.startsWith("GET /slipway/build/outputs/")) return new Response(answer.output ?? "");
      if (line === "POST /build")
        return new Response('{"stream":"Step 1/1 : FROM x\\n"}\n{"aux":{"ID":"sha256:remote"}}\n');
      if (answer.refuse !== undefined) return Response.json(answer.refuse.body, { status: answer.refuse.status });
      return new Response(
        (answer.lines ?? [{ type: "result", names: [] }]).map((line) => `${JSON.stringify(line)}\n`).join(""),
      );
    },
  });
  try {
    const env = { ...options.env, DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: directory };
    const io = new TestIo({ ...options, env });
    const status = await runCli(["build", ...argv], io);
    return { status, stdout: io.stdout.text, stderr: io.stderr.text, requests };
  } finally {
    await server.stop(true);
  }
}

const bodyOf = (requests: readonly { line: string; body: string }[]) =>
  JSON.parse(requests.find(({ line }) => line === "POST /slipway/build")?.body ?? "null") as Record<string, unknown>;

const log = (vertex: string, text: string, time: number) => ({
  type: "log",
  vertex,
  stream: "stdout",
  time,
  data: Buffer.from(text).toString("base64"),
});

const BUILD: readonly object[] = [
  { type: "vertex", id: "a", name: "[one 1/2] FROM base", state: "waiting" },
  { type: "vertex", id: "a", name: "[one 1/2] FROM base", state: "cached" },
  { type: "vertex", id: "b", name: "[one 2/2] RUN make", state: "running", startedAt: 1000 },
  {
    type: "vertex",
    id: "b",
    name: "[one 2/2] RUN make",
    state: "running",
    startedAt: 1000,
    reasons: [{ kind: "file-changed", subject: "src/app.ts" }],
  },
  log("b", "hello\nwor", 1100),
  { type: "vertex", id: "c", name: "[two 2/2] RUN test", state: "running", startedAt: 1000 },
  log("c", "testing\n", 1200),
  log("b", "ld\nunfinished", 1300),
  { type: "vertex", id: "b", name: "[one 2/2] RUN make", state: "done", startedAt: 1000, completedAt: 2500 },
  { type: "vertex", id: "c", name: "[two 2/2] RUN test", state: "done", startedAt: 1000, completedAt: 1250 },
  { type: "warning", message: "careful" },
  { type: "result", imageId: `sha256:${"a".repeat(64)}`, names: ["docker.io/library/app:latest"] },
];

test("plain progress numbers the steps, says why each ran and keeps their lines whole", async () => {
  const { status, stdout, stderr } = await build(["-t", "app", makeDirectory({ Dockerfile: "FROM base" })], {
    lines: BUILD,
  });
  expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
  expect(stderr.replace(/in \d+\.\ds/, "in 0.1s")).toBe(`
#1 [one 1/2] FROM base
#1 CACHED

#2 [one 2/2] RUN make
#2 ran because src/app.ts changed
#2 0.100 hello
#2 ...

#3 [two 2/2] RUN test
#3 0.200 testing
#3 ...

#2 [one 2/2] RUN make
#2 0.300 world
#2 1.500 unfinished
#2 DONE 1.5s

#3 [two 2/2] RUN test
#3 DONE 0.3s

WARNING: careful

Built aaaaaaaaaaaa as app:latest in 0.1s: 2 steps ran, 1 cached
`);
});

test("--explain tells of each step why it ran or did not, with both sides of what changed", async () => {
  const { stderr } = await build(["--explain", makeDirectory({ Dockerfile: "FROM base" })], { lines: BUILD });
  expect(stderr.slice(stderr.indexOf("\nWhy each step"))).toBe(`
Why each step ran, or did not:
  [one 1/2] FROM base
      cached: nothing that it reads has changed
  [one 2/2] RUN make
      ran: src/app.ts changed
  [two 2/2] RUN test
      ran: there is no earlier run of it to compare with
`);
});

test("a terminal shows the steps in place and leaves one line of each", async () => {
  const { status, stderr } = await build(
    [makeDirectory({})],
    { lines: BUILD },
    { terminal: true, env: { NO_COLOR: "1" } },
  );
  expect(status).toBe(0);
  const shown = stderr.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "");
  expect(shown).toMatch(/ => CACHED \[one 1\/2\] FROM base\s*\n/);
  expect(shown).toMatch(/ => \[one 2\/2\] RUN make +1\.5s\n {6}because src\/app\.ts changed\n/);
  expect(shown).toContain("WARNING: careful");
});

test("-q prints the ID alone", async () => {
  const { stdout, stderr } = await build(["-q", makeDirectory({})], { lines: BUILD });
  expect({ stdout, stderr }).toEqual({ stdout: `sha256:${"a".repeat(64)}\n`, stderr: "" });
});

test("--iidfile and --metadata-file say what was built", async () => {
  const [ids, facts] = [join(directory, "iid"), join(directory, "facts")];
  await build(["-q", "--iidfile", ids, "--metadata-file", facts, makeDirectory({})], { lines: BUILD });
  expect(readFileSync(ids, "utf8")).toBe(`sha256:${"a".repeat(64)}`);
  expect(JSON.parse(readFileSync(facts, "utf8"))).toMatchObject({ "image.name": "docker.io/library/app:latest" });
});

test("rawjson is BuildKit's own form", async () => {
  const { stderr } = await build(["--progress", "rawjson", makeDirectory({})], { lines: BUILD });
  const documents = stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(documents[1]).toEqual({ vertexes: [{ digest: "a", name: "[one 1/2] FROM base", cached: true }] });
  expect(documents[4]).toMatchObject({ logs: [{ vertex: "b", stream: 1, timestamp: "1970-01-01T00:00:01.100Z" }] });
});

test("the request names the context with its device and inode", async () => {
  const context = makeDirectory({ "sub/My.Dockerfile": "FROM x" });
  const link = join(directory, "link");
  symlinkSync(context, link);
  const { requests } = await build(
    [
      ...["-f", join(context, "sub/My.Dockerfile"), "-t", "a", "-t", "b", "--target", "t", "--no-cache", "--pull"],
      ...["--build-arg", "A=1", "--build-arg", "HOME", "--build-arg", "UNSET", "--label", "l=v"],
      ...[
        "--build-context",
        "other=docker-image://x",
        "--network",
        "none",
        "--shm-size",
        "1m",
        "--platform",
        "linux/amd64",
      ],
      ...["--add-host", "h=1.2.3.4", "--ulimit", "nofile=1:2", link],
    ],
    { lines: BUILD },
    { env: { HOME: "/home/me" } },
  );
  const info = statSync(context, { bigint: true });
  expect(bodyOf(requests)).toEqual({
    context: { kind: "local", path: context, device: String(info.dev), inode: String(info.ino) },
    dockerfile: { path: "sub/My.Dockerfile" },
    namedContexts: { other: "docker-image://x" },
    target: "t",
    buildArgs: { A: "1", HOME: "/home/me" },
    labels: { l: "v" },
    tags: ["a", "b"],
    platform: "linux/amd64",
    noCache: true,
    pull: true,
    secrets: {},
    ssh: {},
    network: "none",
    extraHosts: ["h:1.2.3.4"],
    shmSize: 1024 * 1024,
    ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }],
    output: { type: "image" },
  });
});

test("a Dockerfile from stdin is sent, with the context or without one", async () => {
  const context = makeDirectory({});
  const withContext = await build(["-f", "-", context], { lines: BUILD }, { stdin: "FROM scratch\n" });
  expect(bodyOf(withContext.requests)).toMatchObject({
    context: { kind: "local" },
    dockerfile: { text: "FROM scratch\n" },
  });
  const alone = await build(["-"], { lines: BUILD }, { stdin: "FROM scratch\n" });
  expect(bodyOf(alone.requests)).toMatchObject({ context: { kind: "empty" }, dockerfile: { text: "FROM scratch\n" } });
});

test("a Dockerfile outside of the context is sent", async () => {
  const outside = join(makeDirectory({ D: "FROM y" }), "D");
  const { requests } = await build(["-f", outside, makeDirectory({})], { lines: BUILD });
  expect(bodyOf(requests)).toMatchObject({ dockerfile: { text: "FROM y", name: outside } });
});

test("secrets come from files and variables, and never show", async () => {
  const file = join(directory, "token");
  writeFileSync(file, "from file");
  const env = { TOKEN: "from env", id: "by name" };
  const secrets = await readSecrets([`id=a,src=${file}`, "id=b,env=TOKEN", "type=env,id=TOKEN", "id=id"], env);
  const plain = Object.fromEntries(
    Object.entries(secrets).map(([id, text]) => [id, Buffer.from(text, "base64").toString()]),
  );
  expect(plain).toEqual({ a: "from file", b: "from env", TOKEN: "from env", id: "by name" });
  expect(readSecrets(["id=a,src=/nope"], env)).rejects.toThrow("secret 'a': cannot read /nope: no such file");
  expect(readSecrets(["src=/nope"], env)).rejects.toThrow("a secret needs an id");
  expect(readSecrets(["id=a,env=NOPE"], env)).rejects.toThrow("the environment variable NOPE is not set");
  expect(readAgents(["default"], {})).rejects.toThrow("SSH_AUTH_SOCK is not set");
  expect(readAgents([`x=${file}`], {})).rejects.toThrow("is no agent's socket");
});

test("outputs", () => {
  expect(parseOutput([])).toEqual({ type: "image", names: [] });
  expect(parseOutput(["out"])).toEqual({ type: "local", dest: "out" });
  expect(parseOutput(["-"])).toEqual({ type: "tar", dest: "-" });
  expect(parseOutput(["type=local,dest=a"])).toEqual({ type: "local", dest: "a" });
  expect(parseOutput(["type=oci,dest=a.tar"])).toEqual({ type: "oci", dest: "a.tar" });
  expect(parseOutput(["type=docker"])).toEqual({ type: "image", names: [] });
  expect(parseOutput(['type=image,"name=a,b"'])).toEqual({ type: "image", names: ["a", "b"] });
  expect(() => parseOutput(["type=local"])).toThrow("dest is required");
  expect(() => parseOutput(["dest=x"])).toThrow("type is required");
  expect(() => parseOutput(["type=nope"])).toThrow("unknown output type 'nope'");
  const pushed = { type: "image", names: ["a"], push: { compression: "zstd", level: "5" } } as const;
  expect(parseOutput(["type=registry,name=a,compression=zstd,compression-level=5"])).toEqual(pushed);
  expect(parseOutput(["type=image,push=true"])).toEqual({ type: "image", names: [], push: {} });
  expect(() => parseOutput(["type=oci,dest=x,push=true"])).toThrow("only images can be pushed");
});

test("a failed step shows its last words, its place and what to do", async () => {
  const { status, stderr } = await build([makeDirectory({})], {
    lines: [
      { type: "vertex", id: "a", name: "[2/2] RUN false", state: "running", startedAt: 0 },
      { type: "vertex", id: "a", name: "[2/2] RUN false", state: "failed", error: "boom" },
      {
        type: "error",
        code: "invalid",
        message: 'Dockerfile:2: process "false" did not complete: exit code: 1\n\nDockerfile:2\n   2 | >>> RUN false\n',
        hint: "Try true.",
        details: { exitCode: 1, lastLines: ["one", "two"] },
      },
    ],
  });
  expect(status).toBe(1);
  expect(stderr).toEndWith(
    '------\n > [2/2] RUN false:\none\ntwo\n------\nERROR: failed to build: Dockerfile:2: process "false" did not complete: exit code: 1\n\nDockerfile:2\n   2 | >>> RUN false\nTry true.\n',
  );
});

test("a mistake found before the first step is the build's error too", async () => {
  const { status, stderr } = await build([makeDirectory({})], {
    refuse: { status: 400, body: { message: "Dockerfile:1: unknown instruction: FORM", hint: "Did you mean FROM?" } },
  });
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: "ERROR: failed to build: Dockerfile:1: unknown instruction: FORM\nDid you mean FROM?\n",
  });
});

test("an engine that sees another directory is sent a tar", async () => {
  const { status, requests } = await build(
    ["-t", "app", "--build-arg", "A=1", makeDirectory({ Dockerfile: "FROM x", a: "1" })],
    {
      refuse: { status: 409, body: { message: "the daemon sees another directory at /x than the client" } },
    },
  );
  expect(status).toBe(0);
  const sent = requests.find(({ line }) => line.startsWith("POST /build"));
  expect(sent?.line).toContain("t=app&dockerfile=Dockerfile&buildargs=%7B%22A%22%3A%221%22%7D");
  expect(sent?.body).toContain("ustar");
});

test("a connection that breaks off is not a success", async () => {
  const { status, stderr } = await build([makeDirectory({})], { lines: BUILD.slice(0, 3) });
  expect(status).toBe(1);
  expect(stderr).toContain("closed the connection in the middle of the build");
});

test("Ctrl-C cancels the build and ends with 130", async () => {
  const socket = join(directory, `${engines++}.sock`);
  let cancelled = false;
  const server = Bun.serve({
    unix: socket,
    fetch: () =>
      new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(Buffer.from(`${JSON.stringify(BUILD[2])}\n`)),
          cancel: () => {
            cancelled = true;
          },
        }),
      ),
  });
  const io = new TestIo({ env: { DOCKER_HOST: `unix://${socket}` } });
  const done = runCli(["build", makeDirectory({})], io);
  while (!io.stderr.text.includes("RUN make")) await Bun.sleep(1);
  io.signal("SIGINT");
  expect(await done).toBe(130);
  expect(io.stderr.text).toEndWith("ERROR: the build was cancelled\n");
  while (!cancelled) await Bun.sleep(1);
  await server.stop(true);
});

test("reasons are told in words", () => {
  expect(reasonText([{ kind: "first-time", subject: "" }])).toBe("");
  expect(reasonText([{ kind: "argument", subject: "A", before: "1", after: "2" }])).toBe(
    'argument A changed from "1" to "2"',
  );
  expect(reasonText([{ kind: "environment", subject: "A", before: "1" }])).toBe("variable A was unset");
  const files = ["a", "b", "c", "d", "e"].map((subject) => ({ kind: "file-added", subject }));
  expect(reasonText(files)).toBe("a was added, b was added, c was added and 2 more");
});

const tarOf = (entries: readonly (TarHeaderInput & { readonly text?: string })[]) =>
  Buffer.concat([
    ...entries.flatMap(({ text = "", ...header }) => [
      encodeTarHeader({ ...header, size: text.length }),
      Buffer.from(text),
      Buffer.alloc(padding(text.length)),
    ]),
    END_OF_ARCHIVE,
  ]);

test("an output is unpacked with modes, links and times", async () => {
  const target = join(directory, "out");
  const mtime = 1_000_000_000_000_000_000n;
  await unpackTree(
    new Response(
      tarOf([
        { name: "d", type: "dir", mode: 0o500, mtime },
        { name: "d/f", type: "file", mode: 0o640, text: "hi", mtime },
        { name: "l", type: "symlink", mode: 0o777, linkname: "d/f", mtime },
        { name: "h", type: "link", mode: 0o640, linkname: "d/f", mtime },
        { name: "dev", type: "char", mode: 0o666, devmajor: 1, devminor: 3 },
      ]),
    ),
    target,
  );
  expect(readdirSync(target).sort()).toEqual(["d", "h", "l"]);
  expect(statSync(join(target, "d")).mode & 0o777).toBe(0o500);
  expect(statSync(join(target, "d/f")).mtimeMs).toBe(1_000_000_000_000);
  expect(statSync(join(target, "h")).ino).toBe(statSync(join(target, "d/f")).ino);
  expect(readlinkSync(join(target, "l"))).toBe("d/f");
});

const HOSTILE: readonly (readonly [what: string, entries: Parameters<typeof tarOf>[0]])[] = [
  ["a path with ..", [{ name: "../evil", type: "file", mode: 0o644, text: "x" }]],
  ["an absolute path", [{ name: "/evil", type: "file", mode: 0o644, text: "x" }]],
  [
    "a link out of the folder, written through",
    [
      { name: "l", type: "symlink", mode: 0o777, linkname: ".." },
      { name: "l/evil", type: "file", mode: 0o644, text: "x" },
    ],
  ],
  [
    "an absolute link, written through",
    [
      { name: "l", type: "symlink", mode: 0o777, linkname: "/" },
      { name: "l/evil", type: "file", mode: 0o644, text: "x" },
    ],
  ],
  ["a hard link to a file outside", [{ name: "evil", type: "link", mode: 0o644, linkname: "../../secret" }]],
];

for (const [what, entries] of HOSTILE) {
  test(`an output with ${what} stays in its folder`, async () => {
    const around = makeDirectory({ "in/side/keep": "" });
    await unpackTree(new Response(tarOf(entries)), join(around, "in/side")).catch(() => {});
    expect(readdirSync(around)).toEqual(["in"]);
    expect(readdirSync(join(around, "in"))).toEqual(["side"]);
    expect(await Bun.file("/evil").exists()).toBe(false);
  });
}

test("the tar of a context leaves out what the ignore file hides, but not the Dockerfile", async () => {
  const context = makeDirectory({
    Dockerfile: "FROM x",
    ".dockerignore": "Dockerfile\nnode_modules\n!node_modules/keep\n*.log\n",
    "a.log": "",
    "node_modules/gone": "",
    "node_modules/keep": "",
    "src/a.ts": "1",
  });
  const names: string[] = [];
  for await (const { header } of readTar(contextTar(context, { path: "Dockerfile" }))) names.push(header.name);
  expect(names.map((name) => name.replace(/\/$/, "")).sort()).toEqual([
    ".dockerignore",
    "Dockerfile",
    "node_modules/keep",
    "src",
    "src/a.ts",
  ]);
});
