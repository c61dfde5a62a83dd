import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { BASE, Testbed } from "../testbed.test.ts";

let bed: Testbed;
let context: string;

beforeAll(async () => {
  bed = await Testbed.open();
  context = bed.directory("exec", {
    "in.txt": "from context\n",
    "d/x": "x",
    "d/hidden": "h",
    ".dockerignore": "d/hidden\n",
  });
});
afterAll(() => bed.close());
afterEach(() => {
  expect(bed.mounted()).toEqual([]);
  expect(readdirSync(join(bed.root, "exec/build"))).toEqual([]);
});

const run = async (lines: string, more = {}) => bed.build(context, `FROM ${BASE}\n${lines}\n`, more);
const outputOf = async (lines: string, more = {}) => (await run(lines, more)).output;

describe("a step", () => {
  test("runs with the stage's environment, user, directory and shell", async () => {
    const out = await outputOf(
      'ENV A=env\nARG B=arg\nWORKDIR /w\nUSER daemon\nSHELL ["/bin/sh", "-xc"]\nRUN echo "$A $B $(pwd) $(id -u) $HOME"',
    );
    expect(out).toContain("env arg /w 1 /usr/sbin");
    expect(out).toContain("+ echo");
  });

  test("in exec form runs without a shell", async () => {
    expect(await outputOf('RUN ["echo", "$HOME"]')).toContain("$HOME");
  });

  test("heredocs run in the shell, or themselves with their interpreter", async () => {
    expect(await outputOf('RUN <<EOF\nset -e\nV=1\necho "v=$V"\nEOF')).toContain("v=1");
    expect(await outputOf("RUN <<EOF\n#!/bin/awk -f\nBEGIN { print 6*7 }\nEOF")).toContain("42");
    expect(await outputOf("RUN cat <<EOF > /f && cat /f\nbody\nEOF")).toContain("body");
  });

  test("leaves nothing behind that it did not make", async () => {
    const files = await bed.files(
      context,
      `FROM ${BASE}\nRUN rm -rf /proc /sys /dev; rmdir /proc /sys /dev; mkdir /made\n`,
    );
    const scratch = await bed.files(
      context,
      `FROM ${BASE} AS base\nFROM scratch\nCOPY --from=base /bin/busybox /bin/sh\nRUN echo > /only\n` +
        "RUN --mount=type=tmpfs,target=/deep/mount --mount=type=secret,id=s,target=/etc/secret true\n",
      { secrets: new Map([["s", Buffer.from("x")]]) },
    );
    expect(files.has("made")).toBe(true);
    expect([...scratch.keys()]).toEqual(["bin", "bin/sh", "only"]);
  });

  test("has no layer when nothing changed", async () => {
    const built = await run("RUN cat /etc/passwd > /dev/null");
    expect(bed.image(built).config.diffIds).toHaveLength(1);
  });

  test("deletes files and replaces directories as overlayfs shows it", async () => {
    const files = await bed.files(
      context,
      `FROM ${BASE}\nRUN mkdir /d && touch /d/a /d/b /f\nRUN rm /f /d/a && rm -r /var/log && mkdir /var/log && touch /var/log/new\n`,
    );
    expect(files.has("f")).toBe(false);
    expect(files.has("d/a")).toBe(false);
    expect(files.has("d/b")).toBe(true);
    expect(files.has("var/log/new")).toBe(true);
  });

  test("that fails tells its exit code, its last lines and its place", async () => {
    const { error, built } = await bed.failure(context, `FROM ${BASE}\nRUN echo one; echo two >&2; exit 7\n`);
    expect(error.message).toContain("Dockerfile:2");
    expect(error.message).toContain("did not complete successfully: exit code: 7");
    expect(error.message).toContain(">>> RUN echo one");
    expect(error.details.exitCode).toBe(7);
    expect([...(error.details.lastLines as string[])].sort()).toEqual(["one", "two"]);
    expect(error.details.source).toMatchObject({ file: "Dockerfile", startLine: 2, endLine: 2 });
    expect(error.details.vertex).toBe(built.step("RUN echo one").id);
    expect(built.state("RUN echo one")).toBe("failed");
  });

  test("whose program is missing says so", async () => {
    const { error } = await bed.failure(context, `FROM ${BASE}\nRUN ["/no/such/program"]\n`);
    expect(error.message).toContain("/no/such/program");
    expect(error.message).toContain("Dockerfile:2");
  });

  test("that needs the host's network or all privileges has to be allowed", async () => {
    const host = await bed.failure(context, `FROM ${BASE}\nRUN --network=host true\n`);
    expect(host.error.code).toBe("forbidden");
    const all = await bed.failure(context, `FROM ${BASE}\nRUN --security=insecure true\n`);
    expect(all.error.code).toBe("forbidden");
    expect((await run("RUN --network=host true", { network: "host" })).state("RUN")).toBe("done");
  });

  test("finds added hosts, and only loopback without a network", async () => {
    const out = await outputOf("RUN grep added /etc/hosts; ls /sys/class/net | tr '\\n' ' '", {
      extraHosts: ["added:10.1.2.3"],
    });
    expect(out).toContain("10.1.2.3\tadded");
    expect(out).not.toContain("eth0");
  });
});

describe("bind mounts", () => {
  test("show the context without what is ignored, and nothing stays in the layer", async () => {
    const out = await outputOf("RUN --mount=target=/ctx cat /ctx/in.txt && ls /ctx/d");
    expect(out).toContain("from context\nx\n");
    expect(out).not.toContain("hidden");
  });

  test("are read-only, or forget what is written", async () => {
    const { error } = await bed.failure(context, `FROM ${BASE}\nRUN --mount=source=d,target=/ctx touch /ctx/new\n`);
    expect(error.details.lastLines).toEqual([expect.stringContaining("Read-only")]);
    const out = await outputOf("RUN --mount=target=/ctx,rw touch /ctx/new && ls /ctx");
    expect(out).toContain("new");
    expect(existsSync(join(context, "new"))).toBe(false);
  });

  test("from a stage, a file and an image", async () => {
    const out = await outputOf(
      `RUN mkdir /o && echo staged > /o/f\nFROM ${BASE}\nRUN --mount=from=0,source=/o/f,target=/mnt/f cat /mnt/f\n` +
        `RUN --mount=from=${BASE},source=/etc,target=/m head -1 /m/passwd`,
    );
    expect(out).toContain("staged");
    expect(out).toContain("root:x:0");
  });

  test("key the step by the files that they show", async () => {
    const other = bed.directory("bound", { a: "1", b: "1" });
    const file = `FROM ${BASE}\nRUN --mount=source=a,target=/a cat /a\n`;
    await bed.build(other, file);
    writeFileSync(join(other, "b"), "2");
    expect((await bed.build(other, file)).state("RUN")).toBe("cached");
    writeFileSync(join(other, "a"), "2");
    const third = await bed.build(other, file);
    expect(third.state("RUN")).toBe("done");
    expect(third.reasons("RUN")).toEqual(["file-changed a"]);
  });
});

describe("cache mounts", () => {
  test("a cache mount's source follows links inside the cache and never out of it", async () => {
    const secret = bed.directory("outside", { "only-on-the-host": "x" });
    const inside =
      `RUN --mount=type=cache,id=linked,target=/c ln -s ${secret} /c/out && mkdir /c/real && ln -s real /c/in\n` +
      "RUN --mount=type=cache,id=linked,source=in,target=/s touch /s/through\n" +
      "RUN --mount=type=cache,id=linked,target=/c ls /c/real\n";
    expect(await outputOf(inside)).toContain("through");
    const outside = outputOf(`${inside}RUN --mount=type=cache,id=linked,source=out,target=/s touch /s/escaped`);
    expect(outside).rejects.toThrow("cache linked: source 'out' cannot be used");
    await outside.catch(() => {});
    expect(readdirSync(secret)).toEqual(["only-on-the-host"]);
  });

  test("keep their files between builds, and out of the image", async () => {
    const line = (text: string) => `RUN --mount=type=cache,target=/c echo ${text} >> /c/log; cat /c/log`;
    await run(line("one"));
    const built = await run(line("two"));
    expect(built.output).toContain("one\ntwo");
    expect((await bed.files(context, `FROM ${BASE}\n${line("two")}\n`)).has("c/log")).toBe(false);
  });

  test("have the owner and mode asked for, and begin with what `from` has", async () => {
    const out = await outputOf(
      `RUN mkdir /seed && echo seeded > /seed/s\nFROM ${BASE}\n` +
        "RUN --mount=type=cache,id=seeded,from=0,source=/seed,target=/c cat /c/s\n" +
        "RUN --mount=type=cache,id=owned,target=/o,uid=3,gid=4,mode=0700 stat -c '%u %g %a' /o",
    );
    expect(out).toContain("seeded");
    expect(out).toContain("3 4 700");
  });

  test("locked ones take turns, private ones do not meet", async () => {
    // Each looks for the other for as long as it takes; those that must not meet need not look for long.
    const looks = (sharing: string) => (sharing === "shared" ? 400 : 6);
    const step = (sharing: string, n: number) =>
      `FROM ${BASE} AS s${n}\nRUN --mount=type=cache,id=${sharing},sharing=${sharing},target=/c ` +
      `touch /c/${n}; i=0; while [ $i -lt ${looks(sharing)} ] && [ ! -e /c/${3 - n} ]; do sleep 0.05; i=$((i+1)); done; ` +
      `if [ -e /c/${3 - n} ]; then echo BOTH ${n}; fi; ${sharing === "shared" ? "" : `rm /c/${n};`} echo ${n} > /r\n`;
    const both = (sharing: string) =>
      bed.build(
        context,
        `${step(sharing, 1)}${step(sharing, 2)}FROM scratch\nCOPY --from=s1 /r /1\nCOPY --from=s2 /r /2\n`,
      );
    expect((await both("locked")).output).not.toContain("BOTH");
    expect((await both("private")).output).not.toContain("BOTH");
    expect((await both("shared")).output).toContain("BOTH");
  });
});

describe("secrets", () => {
  const secrets = new Map([["token", Buffer.from("very-secret-value\n")]]);

  test("are a file or a variable, and in no layer, history, log or cache", async () => {
    const built = await run(
      "RUN --mount=type=secret,id=token wc -c < /run/secrets/token; cat /run/secrets/token\n" +
        "RUN --mount=type=secret,id=token,env=TOKEN,target=/t,mode=0444,uid=5 printf $TOKEN | wc -c; stat -c '%a %u' /t",
      { secrets },
    );
    expect(built.output).toContain("18\n");
    expect(built.output).toContain("444 5");
    expect(built.output).not.toContain("very-secret");
    expect(JSON.stringify(bed.image(built).config)).not.toContain("very-secret");
    expect(bed.image(built).config.diffIds).toHaveLength(1);
    const database = readFileSync(join(bed.root, "data/slipway.db")).toString("latin1");
    expect(database).not.toContain("very-secret");
  });

  test("change no key, and a required one that is missing is an error", async () => {
    const file = `FROM ${BASE}\nRUN --mount=type=secret,id=token,env=T echo ${Math.random()}\n`;
    await bed.build(context, file, { secrets });
    expect((await bed.build(context, file, { secrets: new Map() })).state("RUN")).toBe("cached");
    const { error } = await bed.failure(
      context,
      `FROM ${BASE}\nRUN --mount=type=secret,id=absent,required cat /run/secrets/absent\n`,
    );
    expect(error.message).toContain("secret absent: not found");
    expect(error.hint).toContain("--secret id=absent");
  });
});

test("an SSH agent's socket reaches the step with the owner it asks for", async () => {
  const path = join(bed.root, "agent.sock");
  const server = createServer((socket) => socket.end("agent says hello\n")).listen(path);
  try {
    const out = await outputOf("RUN --mount=type=ssh,uid=1 stat -c '%u %F' $SSH_AUTH_SOCK", {
      ssh: new Map([["default", path]]),
    });
    expect(out).toContain("1 socket");
  } finally {
    server.close();
  }
  const { error } = await bed.failure(context, `FROM ${BASE}\nRUN --mount=type=ssh,required true\n`);
  expect(error.hint).toContain("--ssh default");
});

test("tmpfs mounts are empty, of the size asked for, and gone afterwards", async () => {
  const out = await outputOf(
    "RUN --mount=type=tmpfs,target=/t,size=1m df -k /t | tail -1; touch /t/x\nRUN ls -d /t || echo gone",
  );
  expect(out).toContain("1024");
  expect(out).toContain("gone");
});
