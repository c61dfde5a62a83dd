import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BASE, Engine, mountsBelow } from "./harness.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

/** Seconds that no other test sleeps, so that a process can be told from theirs. */
const NAP = 100_000 + process.pid;

const APP = {
  Dockerfile: `FROM ${BASE} AS tools
RUN echo tool > /tool
FROM ${BASE} AS app
ARG GREETING=hello
COPY src /src
RUN cat /src/a.txt /src/b.txt > /joined && echo "$GREETING" >> /joined
FROM ${BASE}
COPY --from=tools /tool /
COPY --from=app /joined /
CMD ["cat", "/joined"]
`,
  "src/a.txt": "a\n",
  "src/b.txt": "b\n",
};

const plain = (directory: string, ...flags: string[]) =>
  engine.slipway(["build", "--progress", "plain", ...flags, directory]);

describe("a multi-stage build", () => {
  test("runs, and the same inputs give the same image", async () => {
    const directory = engine.context(APP);
    await engine.ok("build", "-q", "-t", "app", directory);
    expect(await engine.ok("run", "--rm", "--network", "none", "app")).toBe("a\nb\nhello");
    const id = await engine.ok("image", "inspect", "--format", "{{.Id}}", "app");
    await engine.ok("build", "-q", "-t", "app", directory);
    expect(await engine.ok("image", "inspect", "--format", "{{.Id}}", "app")).toBe(id);
  });

  test("says which file made a step run again, and keeps the others", async () => {
    const directory = engine.context(APP);
    await plain(directory);
    writeFileSync(join(directory, "src/b.txt"), "changed\n");
    const output = await plain(directory);
    expect(output.code).toBe(0);
    expect(output.stderr).toContain("src/b.txt");
    expect(output.stderr).not.toContain("src/a.txt changed");
    expect(output.stderr).toMatch(/RUN echo tool > \/tool[\s\S]*CACHED/);
  });

  test("says which argument made a step run again", async () => {
    const directory = engine.context(APP);
    await plain(directory);
    const output = await plain(directory, "--build-arg", "GREETING=hi");
    expect(output.stderr).toContain("GREETING");
  });

  test("--target stops there and runs nothing else", async () => {
    const directory = engine.context({
      Dockerfile: `FROM ${BASE} AS a\nRUN echo a > /a\nFROM ${BASE} AS b\nRUN exit 1\n`,
    });
    await engine.ok("build", "-q", "--target", "a", "-t", "target", directory);
    expect(await engine.ok("run", "--rm", "--network", "none", "target", "cat", "/a")).toBe("a");
  });

  test("independent stages run at once", async () => {
    const directory = engine.context({
      Dockerfile: `FROM ${BASE} AS a\nRUN sleep 1; echo ${Date.now()} > /a\nFROM ${BASE} AS b\nRUN sleep 1; echo ${Date.now()} > /b\nFROM ${BASE}\nCOPY --from=a /a /\nCOPY --from=b /b /\n`,
    });
    const began = performance.now();
    await engine.ok("build", "-q", directory);
    expect(performance.now() - began).toBeLessThan(1900);
  });
});

describe("outputs", () => {
  const directory = () => engine.context({ Dockerfile: "FROM scratch\nCOPY file /dir/file\n", file: "content" });

  test("local writes the files", async () => {
    const destination = join(engine.root, "local-out");
    await engine.ok("build", "-q", "--output", `type=local,dest=${destination}`, directory());
    expect(readFileSync(join(destination, "dir/file"), "utf8")).toBe("content");
  });

  test.each(["tar", "oci", "docker"])("%s writes one archive", async (type) => {
    const destination = join(engine.root, `out.${type}`);
    await engine.ok("build", "-q", "-t", "out-test", "--output", `type=${type},dest=${destination}`, directory());
    const listed = Bun.spawnSync(["tar", "-tf", destination]).stdout.toString();
    expect(listed).toContain({ tar: "dir/file", oci: "oci-layout", docker: "manifest.json" }[type] ?? "");
  });

  test("--iidfile and -q name the same image", async () => {
    const file = join(engine.root, "iid");
    const printed = await engine.ok("build", "-q", "--iidfile", file, directory());
    expect(readFileSync(file, "utf8")).toBe(printed);
    expect(printed).toMatch(/^sha256:[0-9a-f]{64}$/);
  });
});

describe("secrets", () => {
  test("reach the step and nothing else", async () => {
    const secret = "s3cr3t-marker-value";
    const directory = engine.context({
      Dockerfile: `FROM ${BASE}\nRUN --mount=type=secret,id=token test "$(cat /run/secrets/token)" = ${"$"}{EXPECT:-${"x"}} || test -s /run/secrets/token\nRUN --mount=type=secret,id=token,env=TOKEN test -n "$TOKEN"\n`,
    });
    writeFileSync(join(engine.root, "secret"), secret);
    await engine.ok(
      "build",
      "-q",
      "-t",
      "secretive",
      "--secret",
      `id=token,src=${join(engine.root, "secret")}`,
      directory,
    );
    const archive = join(engine.root, "secretive.tar");
    await engine.ok("save", "-o", archive, "secretive");
    expect(readFileSync(archive).includes(secret)).toBe(false);
    expect((await engine.slipway(["history", "--no-trunc", "secretive"])).stdout).not.toContain(secret);
    expect(engine.log()).not.toContain(secret);
    const search = Bun.spawnSync(["grep", "-rl", secret, engine.dataRoot]);
    expect(search.stdout.toString()).toBe("");
  });
});

describe("mistakes", () => {
  const failure = async (files: Record<string, string>, ...flags: string[]) => {
    const output = await plain(engine.context(files), ...flags);
    expect(output.code).toBe(1);
    expect(output.stderr).not.toMatch(/\n\s+at .*\.ts:\d+/);
    return output.stderr;
  };

  test("an unknown instruction is shown with its line and the nearest known one", async () => {
    const stderr = await failure({ Dockerfile: `FROM ${BASE}\nRUNN echo\n` });
    expect(stderr).toContain("Dockerfile:2");
    expect(stderr).toContain("RUNN");
    expect(stderr).toMatch(/did you mean RUN\?/i);
  });

  test("an unknown flag and an unknown mount option name the nearest ones", async () => {
    expect(await failure({ Dockerfile: `FROM ${BASE}\nCOPY --chwon=1 a /\n`, a: "" })).toContain("chown");
    expect(await failure({ Dockerfile: `FROM ${BASE}\nRUN --mount=type=cache,tarhet=/x true\n` })).toContain("target");
  });

  test("a file hidden by .dockerignore is missing because of that pattern", async () => {
    const stderr = await failure({
      Dockerfile: `FROM ${BASE}\nCOPY app.log /\n`,
      "app.log": "x",
      ".dockerignore": "tmp\n*.log\n",
    });
    expect(stderr).toContain("*.log");
    expect(stderr).toContain(".dockerignore");
  });

  test("a missing file names the nearest one", async () => {
    const stderr = await failure({ Dockerfile: `FROM ${BASE}\nCOPY pakage.json /\n`, "package.json": "{}" });
    expect(stderr).toContain("package.json");
  });

  test("stages that need each other are a cycle", async () => {
    expect(
      (
        await failure(
          { Dockerfile: `FROM ${BASE} AS a\nCOPY --from=b /x /\nFROM ${BASE} AS b\nCOPY --from=a /x /\n` },
          "--target",
          "a",
        )
      ).toLowerCase(),
    ).toMatch(/cycl|circular/);
  });

  test("a missing base image is named", async () => {
    expect(await failure({ Dockerfile: "FROM no-such-image:9\n" })).toContain("no-such-image:9");
  });

  test("a failing RUN shows its code, its last lines and its place", async () => {
    const stderr = await failure({ Dockerfile: `FROM ${BASE}\nRUN true\nRUN echo the last words >&2 && exit 23\n` });
    expect(stderr).toContain("23");
    expect(stderr).toContain("the last words");
    expect(stderr).toContain("Dockerfile:3");
  });

  test("a failing RUN leaves no mount and no container", async () => {
    await failure({ Dockerfile: `FROM ${BASE}\nRUN exit 1\n` });
    expect(mountsBelow(engine.dataRoot)).toEqual([]);
  });
});

describe("interruption", () => {
  test("Ctrl-C ends a build, its step and its mounts", async () => {
    const directory = engine.context({ Dockerfile: `FROM ${BASE}\nRUN echo started; sleep ${NAP}\n` });
    const child = Bun.spawn([join(import.meta.dir, "../../dist/slipway"), "build", "--progress", "plain", directory], {
      env: { ...process.env, DOCKER_HOST: `unix://${engine.socket}` },
      stdout: "ignore",
      stderr: "pipe",
    });
    await readUntil(child.stderr, "started");
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    await until(() => mountsBelow(engine.dataRoot).length === 0 && !sleeperRuns());
  });

  test.each(["in a step", "in a copy"])(
    "kill -9 of the daemon %s leaves a store without harm and no mounts",
    async (when) => {
      const directory = engine.context({ Dockerfile: `FROM ${BASE}\nCOPY . /all\nRUN echo started; sleep ${NAP}\n` });
      mkdirSync(join(directory, "many"));
      for (let n = 0; n < 2000; n++) writeFileSync(join(directory, "many", `${n}`), `${when} ${n}`);
      const child = Bun.spawn(
        [join(import.meta.dir, "../../dist/slipway"), "build", "--progress", "plain", directory],
        {
          env: { ...process.env, DOCKER_HOST: `unix://${engine.socket}` },
          stdout: "ignore",
          stderr: "pipe",
        },
      );
      await readUntil(child.stderr, when === "in a step" ? "started" : "COPY");
      await engine.stopDaemon("SIGKILL");
      expect(await child.exited).not.toBe(0);
      await engine.startDaemon();
      await until(() => mountsBelow(engine.dataRoot).length === 0 && !sleeperRuns());
      await engine.ok("build", "-q", "-t", "after", engine.context(APP));
      expect(await engine.ok("run", "--rm", "--network", "none", "after")).toContain("a\nb");
    },
  );
});

function sleeperRuns(): boolean {
  return Bun.spawnSync(["pgrep", "-f", `^sleep ${NAP}$`]).stdout.toString() !== "";
}

async function readUntil(stream: ReadableStream<Uint8Array>, text: string): Promise<void> {
  const decoder = new TextDecoder();
  let seen = "";
  for await (const chunk of stream) {
    seen += decoder.decode(chunk, { stream: true });
    if (seen.includes(text)) return;
  }
  throw new Error(`'${text}' never came:\n${seen}`);
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`did not happen within 15 s: ${condition}`);
    await Bun.sleep(20);
  }
}

test("steps are on a network of the user's own when they are told to, and find its containers by name", async () => {
  await engine.ok("network", "create", "steps");
  await engine.ok("run", "-d", "--name", "neighbour", "--network", "steps", BASE, "sleep", "100");
  const context = engine.context({
    Dockerfile: `FROM ${BASE}\nRUN ping -c 1 neighbour && grep 127.0.0.11 /etc/resolv.conf\n`,
  });
  expect((await engine.slipway(["build", "-q", "--network", "steps", context])).code).toBe(0);
  const missing = await engine.slipway(["build", "-q", "--network", "step", context]);
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain("network step not found");
  await engine.ok("rm", "-f", "neighbour");
  await engine.ok("network", "rm", "steps");
}, 30_000);

test("--ulimit holds for the processes of steps", async () => {
  const context = engine.context({ Dockerfile: `FROM ${BASE}\nRUN test "$(ulimit -n)" = 99\n` });
  expect((await engine.slipway(["build", "-q", "--ulimit", "nofile=99:100", context])).code).toBe(0);
  expect((await engine.slipway(["build", "-q", "--ulimit", "nofile", context])).code).toBe(1);
}, 30_000);
