import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tarOf } from "@slipway/testkit";
import { BASE, Testbed } from "../testbed.test.ts";

let bed: Testbed;
let context: string;

beforeAll(async () => {
  bed = await Testbed.open();
  context = bed.directory("sources", { "plain.txt": "plain" });
  const tar = join(bed.root, "a.tar");
  await Bun.$`mkdir -p t/d && echo one > t/one && echo two > t/d/two && ln -s one t/link && ln t/one t/hard && chmod 640 t/one && chown 7:8 t/one && tar -cf ${tar} -C t .`
    .cwd(bed.root)
    .quiet();
  for (const [name, command] of [
    ["a.tgz", ["gzip", "-c"]],
    ["a.tbz", ["bzip2", "-c"]],
    ["a.txz", ["xz", "-c"]],
    ["a.tzst", ["zstd", "-c"]],
    ["a.tar", ["cat"]],
  ] as const) {
    writeFileSync(
      join(context, name),
      new Uint8Array(await new Response(Bun.spawn([...command, tar]).stdout).arrayBuffer()),
    );
  }
});
afterAll(() => bed.close());

describe("ADD of local archives", () => {
  test.each(["a.tar", "a.tgz", "a.tbz", "a.txz", "a.tzst"])("unpacks %s", async (name) => {
    const files = await bed.files(context, `FROM scratch\nADD ${name} /out\n`);
    expect(files.get("out/one")).toMatchObject({ header: { mode: 0o640, uid: 7, gid: 8 } });
    expect(files.get("out/d/two")?.text).toBe("two\n");
    expect(files.get("out/link")?.header).toMatchObject({ type: "symlink", linkname: "one" });
    const texts = [files.get("out/one"), files.get("out/hard")];
    expect(texts.map((file) => file?.header.type).sort()).toEqual(["file", "link"]);
  });

  test("leaves others as they are, and archives too with --unpack=false or COPY", async () => {
    expect([
      ...(
        await bed.files(context, "FROM scratch\nADD plain.txt /x/\nADD --unpack=false a.tgz /x/\nCOPY a.tar /x/\n")
      ).keys(),
    ]).toEqual(["x", "x/a.tar", "x/a.tgz", "x/plain.txt"]);
  });

  test("refuses archives that want to leave their directory", async () => {
    writeFileSync(join(context, "evil.tar"), tarOf([{ name: "../outside", type: "file", content: "x" }]));
    expect((await bed.failure(context, "FROM scratch\nADD evil.tar /in/\n")).error.message).toContain(
      "outside of its directory",
    );
    writeFileSync(
      join(context, "evil.tar"),
      tarOf([
        { name: "l", type: "symlink", linkname: "/etc" },
        { name: "l/passwd", type: "file", content: "x" },
      ]),
    );
    expect((await bed.failure(context, "FROM scratch\nADD evil.tar /in/\n")).error.message).toContain(
      "which is no directory",
    );
  });
});

describe("ADD of a URL", () => {
  test("keeps the server's time and mode 600, checks a checksum, and asks only once for the same", async () => {
    let [requests, revalidated] = [0, 0];
    const body = "downloaded";
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => {
        requests++;
        if (new URL(request.url).pathname === "/missing") return new Response("no", { status: 404 });
        if (request.headers.get("if-none-match") === '"v1"') {
          revalidated++;
          return new Response(null, { status: 304 });
        }
        return new Response(body, { headers: { etag: '"v1"', "last-modified": "Sun, 09 Sep 2001 01:46:40 GMT" } });
      },
    });
    try {
      const url = `http://127.0.0.1:${server.port}/path/file.txt`;
      const files = await bed.files(context, `FROM scratch\nADD ${url} /d/\n`);
      expect(files.get("d/file.txt")).toMatchObject({
        text: body,
        header: { mode: 0o600, mtime: 1000000000n * 1000000000n },
      });
      expect((await bed.build(context, `FROM scratch\nADD ${url} /d/\n`)).state("ADD")).toBe("cached");
      expect(revalidated).toBe(1);
      const digest = createHash("sha256").update(body).digest("hex");
      const before = requests;
      await bed.build(context, `FROM scratch\nADD --checksum=sha256:${digest} ${url} /e\n`);
      expect(requests).toBe(before);
      const wrong = await bed.failure(context, `FROM scratch\nADD --checksum=sha256:${"0".repeat(64)} ${url} /e\n`);
      expect(wrong.error.message).toContain("digest mismatch");
      const missing = await bed.failure(context, `FROM scratch\nADD http://127.0.0.1:${server.port}/missing /e\n`);
      expect(missing.error.message).toContain("404");
    } finally {
      server.stop(true);
    }
  });
});

describe("git", () => {
  test("a repository as context and as source, at a reference, with a subdirectory", async () => {
    const repository = join(bed.root, "repository.git");
    await Bun.$`git init -q ${repository} && cd ${repository} && git config user.email a@b && git config user.name n && mkdir sub && echo one > sub/f && printf 'FROM scratch\nCOPY . /\n' > Dockerfile && git add . && git commit -qm 1 && git tag v1 && echo two > sub/f && git commit -qam 2`.quiet();
    const url = `file://${repository}`;
    const tree = await bed.files("", "", {
      context: { kind: "git", url: `${url}#v1` },
      dockerfile: { path: "Dockerfile" },
    });
    expect(tree.get("sub/f")?.text).toBe("one\n");
    expect(tree.has(".git")).toBe(false);
    // A repository is somebody else's: its links must not lead to our files.
    await Bun.$`ln -s /etc out && ln -s sub in && git add . && git commit -qm links`.cwd(repository).quiet();
    const out = bed.files("", "FROM scratch\nCOPY . /\n", { context: { kind: "git", url: `${url}#:out` } });
    expect(String(await out.catch((error: unknown) => error))).toContain("no directory out");
    const inside = await bed.files("", "FROM scratch\nCOPY . /\n", { context: { kind: "git", url: `${url}#:in` } });
    expect(inside.get("f")?.text).toBe("two\n");
    const sub = await bed.files("", "FROM scratch\nCOPY . /\n", { context: { kind: "git", url: `${url}#:sub` } });
    expect(sub.get("f")?.text).toBe("two\n");
  });
});

describe("a context that is sent as a tar", () => {
  const stream = (bytes: Uint8Array) =>
    new Response(bytes as Uint8Array<ArrayBuffer>).body as ReadableStream<Uint8Array>;
  const dockerfile = { path: "Dockerfile" };

  test("is built, plain or compressed, cached by content, and removed afterwards", async () => {
    const tar = tarOf([
      { name: "Dockerfile", type: "file", content: `FROM ${BASE}\nCOPY f /f\nRUN cat /f # of-tar\n` },
      { name: "f", type: "file", content: "sent" },
      { name: "l", type: "symlink", linkname: "/etc/passwd" },
    ]);
    const first = await bed.build("", "", {
      context: { kind: "tar", stream: stream(tar) },
      dockerfile,
      tags: ["sent:1"],
    });
    expect(first.output).toContain("sent");
    const again = await bed.build("", "", {
      context: { kind: "tar", stream: stream(Bun.gzipSync(tar as Uint8Array<ArrayBuffer>)) },
      dockerfile,
    });
    expect(again.state("# of-tar")).toBe("cached");
    expect(readdirSync(join(bed.root, "data/build/contexts/archives"))).toEqual([]);
  });

  test("cannot write outside of its directory", async () => {
    const target = join(bed.root, "target");
    const tar = tarOf([
      { name: "out", type: "symlink", linkname: bed.root },
      { name: "out/target", type: "file", content: "escaped" },
      { name: "Dockerfile", type: "file", content: "FROM scratch\nCOPY . /\n" },
    ]);
    await bed.build("", "", { context: { kind: "tar", stream: stream(tar) }, dockerfile }).catch(() => {});
    expect(existsSync(target)).toBe(false);
    const up = tarOf([{ name: "../../up", type: "file", content: "x" }]);
    await expect(bed.build("", "", { context: { kind: "tar", stream: stream(up) }, dockerfile })).rejects.toThrow(
      "outside",
    );
  });

  test("with a broken Dockerfile shows the line", async () => {
    const { error } = await bed.failure(context, `FROM ${BASE}\nRUNN true\n`);
    expect(error.code).toBe("invalid");
    expect(error.message).toContain("Dockerfile:2");
  });
});

test("a Dockerfile that is not there names one that is near", async () => {
  const place = bed.directory("named", { Dockerfil: "FROM scratch\n" });
  const { error } = await bed.failure(place, "", { dockerfile: { path: "Dockerfile" } });
  expect(error.code).toBe("not-found");
  expect(error.hint).toContain("Dockerfil");
});
