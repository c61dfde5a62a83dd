import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { BASE, Testbed, writeFiles } from "../testbed.test.ts";

let bed: Testbed;
let context: string;

beforeAll(async () => {
  bed = await Testbed.open();
  context = bed.directory("copy", {
    "a.txt": "a",
    "b.txt": "b",
    "c.md": "c",
    "tool.sh": { text: "#!/bin/sh\n", mode: 0o755 },
    "dir/one": "1",
    "dir/sub/two": "2",
    "dir/sub/skip.log": "log",
    "dir/link": { link: "one" },
    "dir/dangling": { link: "/nowhere" },
    "empty/": "",
    owned: { text: "o", owner: 1234 },
    "to-dir": { link: "dir" },
    "x[1].txt": "bracket",
    "deep/p/q/r.txt": "r",
    "deep/p/s.txt": "s",
  });
});
afterAll(() => bed.close());

/** Paths that a Dockerfile on scratch makes. */
const made = async (lines: string) => bed.files(context, `FROM scratch\n${lines}\n`);
const paths = async (lines: string) => [...(await made(lines)).keys()];
const text = async (lines: string, path: string) => (await made(lines)).get(path)?.text;

describe("where files go", () => {
  test("a file onto a name, into a directory that is written as one, and into one that exists", async () => {
    expect(await paths("COPY a.txt /x")).toEqual(["x"]);
    expect(await paths("COPY a.txt /x/")).toEqual(["x", "x/a.txt"]);
    expect(await paths("WORKDIR /x\nCOPY a.txt /x")).toEqual(["x", "x/a.txt"]);
    expect(await paths("WORKDIR /w\nCOPY a.txt .")).toEqual(["w", "w/a.txt"]);
    expect(await paths("WORKDIR /w\nCOPY a.txt d/e")).toEqual(["w", "w/d", "w/d/e"]);
  });

  test("a directory's contents, not the directory", async () => {
    expect(await paths("COPY dir /x")).toEqual([
      "x",
      "x/dangling",
      "x/link",
      "x/one",
      "x/sub",
      "x/sub/skip.log",
      "x/sub/two",
    ]);
    expect(await paths("COPY dir/sub /")).toEqual(["skip.log", "two"]);
    expect(await paths("COPY empty /x")).toEqual(["x"]);
  });

  test("several sources need a directory", async () => {
    expect(await paths("COPY a.txt dir/sub /x/")).toEqual(["x", "x/a.txt", "x/skip.log", "x/two"]);
    const { error } = await bed.failure(context, "FROM scratch\nCOPY a.txt b.txt /x\n");
    expect(error.message).toContain("must be a directory and end with a /");
  });

  test("links in a directory are copied as links, a source that is a link is followed", async () => {
    const files = await made("COPY dir /x\nCOPY dir/link /y\nCOPY to-dir /z");
    expect(files.get("x/link")?.header).toMatchObject({ type: "symlink", linkname: "one" });
    expect(files.get("x/dangling")?.header.linkname).toBe("/nowhere");
    expect(files.get("y")).toMatchObject({ text: "1", header: { type: "file" } });
    expect(files.get("z/one")?.text).toBe("1");
    expect(await text("COPY to-dir /z", "z/one")).toBe("1");
    expect(await text("COPY to-dir/sub/two /z", "z")).toBe("2");
  });

  test("a destination that goes through a link of the image lands where the link points", async () => {
    const files = await bed.files(
      context,
      `FROM ${BASE}\nRUN mkdir -p /real/in && ln -s real /alias && ln -s /real/in/file /to-file\nCOPY a.txt /alias/in/\nCOPY b.txt /to-file\n`,
    );
    expect(files.get("real/in/a.txt")?.text).toBe("a");
    expect(files.get("real/in/file")?.text).toBe("b");
    expect(files.get("alias")?.header.type).toBe("symlink");
  });

  test("`..` cannot leave the context nor the image", async () => {
    expect(await text("COPY ../../a.txt /../../x", "x")).toBe("a");
  });

  test("later sources replace earlier ones", async () => {
    expect(await text("COPY a.txt /x\nCOPY b.txt /x", "x")).toBe("b");
  });
});

describe("wildcards", () => {
  test("match as filepath.Match does, never across a slash", async () => {
    expect(await paths("COPY *.txt /x/")).toEqual(["x", "x/a.txt", "x/b.txt", "x/x[1].txt"]);
    expect(await paths("COPY ?.txt /x/")).toEqual(["x", "x/a.txt", "x/b.txt"]);
    expect(await paths("COPY [ac].* /x/")).toEqual(["x", "x/a.txt", "x/c.md"]);
    expect(await paths("COPY */one /x/")).toEqual(["x", "x/one"]);
    expect(await paths("COPY x[[]1].txt /x/")).toEqual(["x", "x/x[1].txt"]);
  });

  test("a directory that matches gives its contents", async () => {
    expect(await paths("COPY di* /x/")).toEqual([
      "x",
      "x/dangling",
      "x/link",
      "x/one",
      "x/sub",
      "x/sub/skip.log",
      "x/sub/two",
    ]);
  });
});

describe("flags", () => {
  test("--chown with numbers, with names of the image, and for the directories that it makes", async () => {
    const files = await bed.files(
      context,
      `FROM ${BASE}\nCOPY --chown=daemon:tty dir /n/m\nCOPY --chown=7 a.txt /seven\n`,
    );
    expect(files.get("n/m/one")?.header).toMatchObject({ uid: 1, gid: 5 });
    expect(files.get("n")?.header).toMatchObject({ uid: 1, gid: 5 });
    expect(files.get("seven")?.header).toMatchObject({ uid: 7, gid: 7 });
    const { error } = await bed.failure(context, `FROM ${BASE}\nCOPY --chown=nobody-such a.txt /\n`);
    expect(error.message).toContain("unable to find user nobody-such");
    expect(error.message).toContain("Dockerfile:2");
  });

  test("files of a context belong to root whoever owns them here", async () => {
    expect((await made("COPY owned /x")).get("x")?.header).toMatchObject({ uid: 0, gid: 0 });
  });

  test("--chmod, octal and symbolic", async () => {
    const mode = async (flag: string, path = "x") =>
      (await made(`COPY --chmod=${flag} a.txt tool.sh /d/`)).get(path)?.header.mode;
    expect(await mode("600", "d/a.txt")).toBe(0o600);
    expect(await mode("4711", "d/a.txt")).toBe(0o4711);
    expect(await mode("u=rwX,go=rX", "d/a.txt")).toBe(0o644);
    expect(await mode("u=rwX,go=rX", "d/tool.sh")).toBe(0o755);
    expect(await mode("a+x", "d/a.txt")).toBe(0o755);
    expect(await mode("go-r", "d/tool.sh")).toBe(0o711);
    expect((await bed.failure(context, "FROM scratch\nCOPY --chmod=rwx a.txt /\n")).error.message).toContain(
      "invalid chmod",
    );
  });

  test("--exclude leaves out what matches, and keeps what a negated pattern keeps", async () => {
    expect(await paths("COPY --exclude=**/*.log --exclude=link dir /x")).toEqual([
      "x",
      "x/dangling",
      "x/one",
      "x/sub",
      "x/sub/two",
    ]);
    expect(await paths("COPY --exclude=sub --exclude=!sub/two dir /x")).toContain("x/sub/two");
    expect(await paths("COPY --exclude=*.md *.* /x/")).not.toContain("x/c.md");
  });

  test("--parents keeps the directories, from the pivot on", async () => {
    expect(await paths("COPY --parents deep/p/q/r.txt /x/")).toEqual([
      "x",
      "x/deep",
      "x/deep/p",
      "x/deep/p/q",
      "x/deep/p/q/r.txt",
    ]);
    expect(await paths("COPY --parents deep/./p/q/r.txt /x/")).toEqual(["x", "x/p", "x/p/q", "x/p/q/r.txt"]);
    expect(await paths("COPY --parents deep/**/*.txt /x/")).toEqual([
      "x",
      "x/deep",
      "x/deep/p",
      "x/deep/p/q",
      "x/deep/p/q/r.txt",
      "x/deep/p/s.txt",
    ]);
  });

  test("--link does not follow links of the image", async () => {
    const files = await bed.files(context, `FROM ${BASE}\nRUN ln -s /tmp /alias\nCOPY --link a.txt /alias/x\n`);
    expect(files.get("alias")?.header.type).toBe("dir");
    expect(files.get("alias/x")?.text).toBe("a");
  });
});

describe("heredocs", () => {
  test("become files, with variables unless quoted", async () => {
    const files = await made('ENV W=world\nCOPY <<EOF <<"RAW" /d/\nhello $W\nEOF\nraw $W\nRAW');
    expect(files.get("d/EOF")?.text).toBe("hello world\n");
    expect(files.get("d/RAW")?.text).toBe("raw $W\n");
    expect(await text("COPY <<EOF /one\nx\nEOF", "one")).toBe("x\n");
  });
});

describe("from stages and images", () => {
  test("owners, modes and hard links are kept", async () => {
    const files = await bed.files(
      context,
      `FROM ${BASE} AS made\nRUN mkdir /o && echo x > /o/f && ln /o/f /o/g && chown 5:6 /o/f && chmod 640 /o/f && mkfifo /o/pipe\n` +
        "FROM scratch\nCOPY --from=made /o /o\n",
    );
    expect(files.get("o/f")?.header).toMatchObject({ uid: 5, gid: 6, mode: 0o640 });
    expect(files.get("o/g")?.header).toMatchObject({ type: "link", linkname: "o/f" });
    expect(files.get("o/pipe")?.header.type).toBe("fifo");
  });

  test("by number, by image and through links inside", async () => {
    const files = await bed.files(
      context,
      `FROM ${BASE}\nRUN mkdir /d && echo 1 > /d/f && ln -s /d /l\nFROM scratch\nCOPY --from=0 /l/f /a\nCOPY --from=${BASE} /etc/passwd /b\n`,
    );
    expect(files.get("a")?.text).toBe("1\n");
    expect(files.get("b")?.text).toContain("root:x:0:0");
  });

  test("a named context overrides a stage", async () => {
    const other = bed.directory("other", { from: "context" });
    const files = await bed.files(context, `FROM ${BASE} AS src\nFROM scratch\nCOPY --from=src /from /x\n`, {
      namedContexts: { src: other },
    });
    expect(files.get("x")?.text).toBe("context");
  });
});

describe("mistakes", () => {
  test("a missing file is named, with the nearest name", async () => {
    const { error } = await bed.failure(context, "FROM scratch\nCOPY a.tx /\n");
    expect(error.code).toBe("not-found");
    expect(error.message).toContain('Dockerfile:2: "/a.tx": not found');
    expect(error.message).toContain(">>> COPY a.tx /");
    expect(error.hint).toContain("a.txt");
  });

  test("a file that an ignore rule hides is told with the rule", async () => {
    const hidden = bed.directory("hidden", {
      ".dockerignore": "# comment\nsecret/\n!secret/open\n*.key\n",
      "secret/x": "x",
      "secret/open": "o",
      "a.key": "k",
    });
    const { error } = await bed.failure(hidden, "FROM scratch\nCOPY secret/x /\n");
    expect(error.message).toContain(".dockerignore:2 (secret)");
    expect((await bed.failure(hidden, "FROM scratch\nCOPY a.key /\n")).error.message).toContain(
      ".dockerignore:4 (*.key)",
    );
    const files = await bed.files(hidden, "FROM scratch\nCOPY . /\n");
    expect([...files.keys()]).toEqual([".dockerignore", "secret", "secret/open"]);
  });

  test("the ignore file beside the Dockerfile counts before the general one", async () => {
    const own = bed.directory("own-ignore", {
      ".dockerignore": "a\n",
      "x.Dockerfile": "FROM scratch\nCOPY . /\n",
      "x.Dockerfile.dockerignore": "b\n",
      a: "a",
      b: "b",
    });
    const files = await bed.files(own, "", { dockerfile: { path: "x.Dockerfile" } });
    expect([...files.keys()]).toContain("a");
    expect([...files.keys()]).not.toContain("b");
  });

  test("a directory cannot become a file nor the other way round", async () => {
    const first = await bed.failure(context, "FROM scratch\nCOPY a.txt /x\nCOPY dir /x\n");
    expect(first.error.message).toContain("cannot copy to non-directory: /x");
    const second = await bed.failure(context, "FROM scratch\nCOPY dir /x\nCOPY b.txt /y/sub\nCOPY dir /y\n");
    expect(second.error.message).toContain("cannot copy to non-directory: /y/sub");
    const third = await bed.failure(context, "FROM scratch\nWORKDIR /x/one\nCOPY dir /x\n");
    expect(third.error.message).toContain("/x/one");
  });
});

describe("layers of copied files", () => {
  test("keep what the directories on the way were in the image", async () => {
    const files = await bed.files(
      context,
      `FROM ${BASE}\nRUN mkdir -p /p/q && chmod 700 /p && chown 3:4 /p/q\nCOPY a.txt /p/q/\n`,
    );
    expect(files.get("p")?.header.mode).toBe(0o700);
    expect(files.get("p/q")?.header).toMatchObject({ uid: 3, gid: 4 });
  });

  test("are the same on another root, so that a changed step below leaves them cached", async () => {
    const file = (below: string) =>
      `FROM ${BASE}\nRUN echo ${below} > /below\nCOPY dir /app/\nCOPY --chown=daemon a.txt /etc/\n`;
    const first = await bed.build(context, file("one"));
    const second = await bed.build(context, file("two"));
    expect(second.state("RUN")).toBe("done");
    expect([second.state("COPY dir"), second.state("a.txt")]).toEqual(["cached", "cached"]);
    expect(bed.image(second).config.diffIds.slice(2)).toEqual(bed.image(first).config.diffIds.slice(2));
  });

  test("are made anew where the root differs in what they rest on", async () => {
    const file = (below: string) => `FROM ${BASE}\nRUN ${below}\nCOPY a.txt /place/x\n`;
    await bed.build(context, file("mkdir /place"));
    const second = await bed.build(context, file("mkdir /other && ln -s other /place"));
    expect(second.state("COPY")).toBe("done");
    const files = await bed.files(context, file("mkdir /other && ln -s other /place"));
    expect(files.get("other/x")?.text).toBe("a");
  });
});

describe("a copy above a step that runs", () => {
  const timed = (step: string) =>
    `FROM ${BASE}\nWORKDIR /app\nRUN sleep 0.3; ${step} # ${Math.random()}\nCOPY dir /app/d\n`;

  test("is made meanwhile, and is the layer that it would be otherwise", async () => {
    const text = timed("touch /app/x");
    const early = await bed.build(context, text);
    const copy = early.step("COPY");
    expect((copy.completedAt ?? 0) - (copy.startedAt ?? 0)).toBeLessThan(100);
    const late = await bed.build(context, text.replace("RUN sleep 0.3; ", "RUN "), { noCache: true });
    expect(bed.image(late).config.diffIds.at(-1)).toBe(bed.image(early).config.diffIds.at(-1) as never);
  });

  test("is made anew when the step changed the destination", async () => {
    const files = await bed.files(context, timed("mkdir -m 700 /app/d; chown 3:4 /app"));
    expect(files.get("app")?.header).toMatchObject({ uid: 3, gid: 4 });
    expect(files.get("app/d")?.header).toMatchObject({ mode: 0o700 });
    expect(files.get("app/d/one")?.text).toBe("1");
    const moved = await bed.files(context, timed("mkdir /elsewhere && ln -s /elsewhere /app/d"));
    expect(moved.get("elsewhere/one")?.text).toBe("1");
    const blocked = await bed.failure(context, timed("touch /app/d"));
    expect(blocked.error.message).toContain("cannot copy to non-directory: /app/d");
  });
});

test("a removed file is not in the next build", async () => {
  const changing = bed.directory("changing", { a: "a", b: "b", "d/x": "x" });
  expect([...(await bed.files(changing, "FROM scratch\nCOPY . /\n")).keys()]).toEqual(["a", "b", "d", "d/x"]);
  rmSync(join(changing, "d"), { recursive: true });
  writeFiles(changing, { b: "new b", c: "c" });
  const files = await bed.files(changing, "FROM scratch\nCOPY . /\n");
  expect([...files.keys()]).toEqual(["a", "b", "c"]);
  expect(files.get("b")?.text).toBe("new b");
});
