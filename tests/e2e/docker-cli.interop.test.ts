import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BASE, Engine, type Output, type RunOptions, run } from "./harness.ts";

// Docker's own client, unmodified: whichever is first on PATH (28 was used to write this; Debian's docker.io has 20.10).
let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

const docker = (argv: string[], options: RunOptions = {}): Promise<Output> =>
  run(["docker", ...argv], {
    ...options,
    env: { ...options.env, DOCKER_HOST: `unix://${engine.socket}`, DOCKER_BUILDKIT: "0" },
  });

async function ok(...argv: string[]): Promise<string> {
  const output = await docker(argv);
  if (output.code !== 0)
    throw new Error(`docker ${argv.join(" ")} ended with ${output.code}:\n${output.stdout}${output.stderr}`);
  return output.stdout.replace(/\n$/, "");
}

/** Runs a command in a terminal of `script`, typing `input` when `prompt` was seen. */
async function inTerminal(command: string, input: string): Promise<string> {
  const typed = `sleep 1; printf '${input}'; sleep 1`;
  const output = await run(["sh", "-c", `(${typed}) | script -qec '${command}' /dev/null`], {
    env: { DOCKER_HOST: `unix://${engine.socket}` },
  });
  return output.stdout;
}

test("version and info", async () => {
  expect(await ok("version", "--format", "{{.Server.Os}}")).toBe("linux");
  expect(await ok("info", "--format", "{{.DockerRootDir}}")).toBe(engine.dataRoot);
  expect(await ok("info")).toContain("Server Version");
});

test("images and ps", async () => {
  expect(await ok("images", "--format", "{{.Repository}}:{{.Tag}}")).toBe(`${BASE}:latest`);
  expect(await ok("ps", "-a", "-q")).toBe("");
});

describe("run", () => {
  test("streams, exit code, --rm", async () => {
    const output = await docker(["run", "--rm", BASE, "sh", "-c", "echo out; echo err >&2; exit 5"]);
    expect(output).toMatchObject({ code: 5, stdout: "out\n", stderr: "err\n" });
    expect(await ok("ps", "-aq")).toBe("");
  });

  test("-i passes standard input and its end", async () => {
    expect((await docker(["run", "--rm", "-i", BASE, "sh", "-c", "cat; echo end"], { stdin: "in\n" })).stdout).toBe(
      "in\nend\n",
    );
  });

  test("--mac-address, which newer clients send beside the network that they call default", async () => {
    const address = ["cat", "/sys/class/net/eth0/address"];
    expect(await ok("run", "--rm", "--mac-address", "02:42:ac:11:00:99", BASE, ...address)).toBe("02:42:ac:11:00:99");
  });

  test("--cidfile, and the host's queues and shared memory by --ipc host", async () => {
    const file = join(engine.root, "docker-cid");
    await ok("run", "--rm", "--ipc", "host", "--cidfile", file, BASE, "ls", "/dev/mqueue", "/dev/shm");
    expect(readFileSync(file, "utf8")).toMatch(/^[0-9a-f]{64}$/);
  });

  test("-it in a terminal", async () => {
    const screen = await inTerminal(`docker run --rm -it ${BASE} sh`, "tty; exit 3\\n");
    expect(screen).toContain("/dev/pts/0");
  });

  test("127 for a missing command, 126 for one that cannot be executed", async () => {
    expect((await docker(["run", "--rm", BASE, "no-such-command"])).code).toBe(127);
    expect((await docker(["run", "--rm", BASE, "/etc/passwd"])).code).toBe(126);
  });

  test("a missing image is explained", async () => {
    const output = await docker(["run", "--rm", "no-such-image"]);
    expect(output.code).toBe(125);
    expect(output.stderr).toContain("no-such-image");
  });
});

test("a container's life: -d, exec -it, logs -f, stop, rm", async () => {
  await ok(
    "run",
    "-d",
    "--name",
    "life",
    BASE,
    "sh",
    "-c",
    "trap 'echo bye; exit' TERM; echo hi; while :; do sleep 0.1; done",
  );
  expect(await inTerminal("docker exec -it life sh", "echo in-$((20+1)); exit\\n")).toContain("in-21");
  expect((await docker(["exec", "life", "sh", "-c", "exit 4"])).code).toBe(4);
  const following = docker(["logs", "-f", "life"]);
  await ok("stop", "life");
  expect((await following).stdout).toBe("hi\nbye\n");
  expect(await ok("inspect", "--format", "{{.State.ExitCode}}", "life")).toBe("0");
  expect(await ok("rm", "life")).toBe("life");
});

test("build by the tar context, with arguments, ignore rules and a target", async () => {
  const directory = engine.context({
    Dockerfile: `FROM ${BASE} AS one\nARG A=1\nCOPY . /all\nRUN ls /all > /list; echo $A >> /list\nFROM one\nRUN exit 1\n`,
    keep: "k",
    "drop.log": "d",
    ".dockerignore": "*.log\n",
  });
  await ok("build", "--target", "one", "--build-arg", "A=two", "-t", "tarred", directory);
  expect(await ok("run", "--rm", "tarred", "cat", "/list")).toBe("Dockerfile\nkeep\ntwo");
  const failed = await docker(["build", directory]);
  expect(failed.code).not.toBe(0);
  expect(failed.stderr + failed.stdout).toContain("exit 1");
});

test("save and load", async () => {
  const archive = join(engine.root, "docker-saved.tar");
  await ok("tag", BASE, "copy:1");
  await ok("save", "-o", archive, "copy:1");
  expect(readFileSync(archive).length).toBeGreaterThan(1_000_000);
  await ok("rmi", "copy:1");
  expect(await ok("load", "-i", archive)).toContain("Loaded image: copy:1");
});
