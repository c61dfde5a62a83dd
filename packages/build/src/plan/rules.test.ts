import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { chownSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { parseGitReference } from "../sources/git.ts";
import { BASE, Testbed } from "../testbed.test.ts";

let bed: Testbed;
let context: string;

beforeAll(async () => {
  bed = await Testbed.open();
  context = bed.directory("rules", { "a.txt": "a\n", "b.txt": "b\n" });
});
afterAll(() => bed.close());

const failure = async (lines: string, more = {}) => (await bed.failure(context, `FROM ${BASE}\n${lines}`, more)).error;

describe("what is refused", () => {
  test("a checksum of a local source, and a URL in COPY", async () => {
    const checksum = `sha256:${"0".repeat(64)}`;
    expect((await failure(`ADD --checksum=${checksum} a.txt /a\n`)).message).toContain("local sources");
    expect((await failure("COPY https://example.com/a /a\n")).message).toContain("source can't be a URL for COPY");
  });

  test("a signal that there is not", async () => {
    const error = await failure("STOPSIGNAL SIGTREM\n");
    expect(error.message).toContain("Dockerfile:2: invalid signal: SIGTREM");
    expect(error.hint).toContain("SIGTERM");
  });

  test("warnings of a file with check=error=true", async () => {
    const file = `# check=error=true\nFROM ${BASE}\nCOPY $absent /\n`;
    const { error } = await bed.failure(context, file);
    expect(error.message).toContain("lint violation found for rules: UndefinedVar");
    const skipped = `# check=skip=UndefinedVar;error=true\nFROM ${BASE}\nENV A=$absent\n`;
    expect((await bed.build(context, skipped)).warnings).toEqual([]);
  });

  test("and an error shows its place once", async () => {
    const { message } = await failure("STOPSIGNAL nothing\n");
    expect(message.split("Dockerfile:2")).toHaveLength(2);
  });
});

test("an ARG without a value is no undefined variable, nor is an empty one of FROM", async () => {
  const { warnings } = await bed.build(context, `ARG BASE=${BASE}\nFROM $BASE\nARG EMPTY\nENV E=$EMPTY\n`);
  expect(warnings).toEqual([]);
});

test("--from=scratch is empty, and --from=context is the build's own context", async () => {
  const files = await bed.files(context, "FROM scratch\nCOPY --from=scratch / /none/\nCOPY --from=context a.txt /\n");
  expect([...files.keys()]).toEqual(["a.txt", "none"]);
  const seen = await bed.build(
    context,
    `FROM ${BASE}\nRUN --mount=type=bind,from=scratch,target=/m ls -a /m | wc -l\n`,
  );
  expect(seen.output).toBe("2\n");
});

test("--link with the name of a user finds it in the image", async () => {
  const files = await bed.files(context, `FROM ${BASE}\nCOPY --link --chown=daemon a.txt /linked\n`);
  expect(files.get("linked")?.header).toMatchObject({ uid: 1, gid: 1 });
});

test("a mount's variables are read with the file's own escape", async () => {
  const file = `# escape=\`\nFROM ${BASE}\nENV D=d\nRUN --mount=type=tmpfs,target=/x/\`$D ls /x\n`;
  expect((await bed.build(context, file)).output).toBe("$D\n");
});

test("SSH sockets are numbered in each RUN", async () => {
  const path = join(bed.root, "agent.sock");
  const server = createServer((socket) => socket.end()).listen(path);
  try {
    const file = `FROM ${BASE}\nRUN --mount=type=ssh true\nRUN --mount=type=ssh echo $SSH_AUTH_SOCK\n`;
    const { output } = await bed.build(context, file, { ssh: new Map([["default", path]]) });
    expect(output).toBe("/run/buildkit/ssh_agent.0\n");
  } finally {
    server.close();
  }
});

test("a cache that begins with files keeps their owners, modes, times, links and attributes", async () => {
  const file =
    `FROM ${BASE} AS seed\nRUN mkdir -p /seed/d && echo s > /seed/d/s && ln /seed/d/s /seed/hard && ln -s d/s /seed/soft && ` +
    `mkfifo /seed/pipe && chown -h 5:6 /seed/d/s /seed/soft /seed/d && chmod 4711 /seed/d/s && touch -d @7 /seed/d/s /seed/d\n` +
    `FROM ${BASE}\nRUN --mount=type=cache,from=seed,source=/seed,target=/c cd /c && stat -c '%u:%g %a %Y' d/s d && ` +
    `stat -c '%u %h %N' soft hard && test -p pipe\n`;
  const { output } = await bed.build(context, file);
  expect(output).toContain("5:6 4711 7\n5:6 755 7\n5 1");
  expect(output).toContain("5 2 ");
});

test("a cache that begins with files of a context gives them to root", async () => {
  const owned = bed.directory("owned", { "d/f": "f" });
  chownSync(join(owned, "d/f"), 1234, 1234);
  const file = `FROM ${BASE}\nRUN --mount=type=cache,from=context,source=d,target=/owned stat -c '%u:%g' /owned/f\n`;
  expect((await bed.build(owned, file)).output).toBe("0:0\n");
});

test("an ignored directory goes when the last that was kept in it does", async () => {
  const place = bed.directory("shown", { ".dockerignore": "d\n!d/keep\n", "d/keep": "k", "d/other": "o", e: "e" });
  const file = "FROM scratch\nCOPY . /\n";
  const names = async () => [...(await bed.files(place, file)).keys()].filter((name) => !name.startsWith("."));
  expect(await names()).toEqual(["d", "d/keep", "e"]);
  rmSync(join(place, "d/keep"));
  expect(await names()).toEqual(["e"]);
  expect(await names()).toEqual(["e"]);
});

test("--unpack unpacks a download, and a sha512 checksum is one", async () => {
  const tar = join(bed.root, "served.tar");
  await Bun.$`tar -cf ${tar} -C ${context} a.txt`.quiet();
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(Bun.file(tar)) });
  try {
    const url = `http://127.0.0.1:${server.port}/served.tar`;
    const sha512 = `sha512:${createHash("sha512").update(readFileSync(tar)).digest("hex")}`;
    const add = (flags: string) => `FROM scratch\nADD ${flags} ${url} /out/\n`;
    expect([...(await bed.files(context, add("--unpack"))).keys()]).toEqual(["out", "out/a.txt"]);
    expect([...(await bed.files(context, add(`--checksum=${sha512}`))).keys()]).toEqual(["out", "out/served.tar"]);
    const { error } = await bed.failure(context, add(`--checksum=sha512:${"0".repeat(128)}`));
    expect(error.message).toContain("digest mismatch");
  } finally {
    server.stop(true);
  }
});

test("a download gets the secret for its host, and no other host does", async () => {
  const seen: (string | null)[] = [];
  const other = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      seen.push(request.headers.get("authorization"));
      return new Response("moved");
    },
  });
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      seen.push(request.headers.get("authorization"));
      if (new URL(request.url).pathname === "/away") return Response.redirect(`http://127.0.0.1:${other.port}/f`);
      return new Response("file");
    },
  });
  try {
    const host = `127.0.0.1:${server.port}`;
    const add = (path: string) => `FROM scratch\nADD http://${host}/${path} /f\n`;
    const secret = (id: string, value: string) => ({ secrets: new Map([[id, Buffer.from(value)]]) });
    await bed.build(context, add("a"), secret(`HTTP_AUTH_TOKEN_${host}`, "token\n"));
    await bed.build(context, add("b"), secret(`HTTP_AUTH_HEADER_${host}`, "Basic abc"));
    await bed.build(context, add("c"), secret("HTTP_AUTH_TOKEN_example.com", "token"));
    await bed.build(context, add("away"), secret(`HTTP_AUTH_TOKEN_${host}`, "token"));
    expect(seen).toEqual(["Bearer token", "Basic abc", null, "Bearer token", null]);
  } finally {
    server.stop(true);
    other.stop(true);
  }
});

test("SOURCE_DATE_EPOCH from a context or a stage says that it is not built", async () => {
  for (const value of ["context", "made"]) {
    const file = `FROM ${BASE} AS made\nRUN true\n`;
    const { error } = await bed.failure(context, file, { buildArgs: { SOURCE_DATE_EPOCH: value } });
    expect(error.code).toBe("not-implemented");
    expect(error.hint).toContain("seconds since 1970");
  }
});

test("git URLs with parameters", () => {
  const remote = "https://example.com/r.git";
  expect(parseGitReference(`${remote}?ref=v1&subdir=a/b`)).toEqual({ remote, ref: "v1", subdirectory: "a/b" });
  expect(parseGitReference(`${remote}?branch=main`)).toEqual({ remote, ref: "refs/heads/main" });
  expect(parseGitReference(`${remote}?tag=v2`)).toEqual({ remote, ref: "refs/tags/v2" });
  expect(() => parseGitReference(`${remote}?submodules=false`)).toThrow("not built yet");
  expect(() => parseGitReference(`${remote}?ref=a#b`)).toThrow("not both");
  expect(() => parseGitReference(`${remote}?ref=--upload-pack=x`)).toThrow("invalid git reference");
  expect(() => parseGitReference(`${remote}?subdir=../up`)).toThrow("invalid git reference");
});
