import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BASE, Engine, type Output, run, SLIPWAY } from "./harness.ts";

/**
 * Docker's own client (28) and ours, asked the same of the same engine. What they list and show must be equal byte by
 * byte; what they refuse must have the same exit code and go to the same stream.
 */
let engine: Engine;

const FOLDER = join(import.meta.dir, "cli-differential");

/** Where they differ, and why. A line that does not differ any more must go from here. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  "inspect -f '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.RestartPolicy}}' made":
    "Go's field is NanoCPUs, so Docker's client falls back to the raw document and prints the policy as a map",
  "version --format '{{.Server.Version}} {{.Server.ApiVersion}} {{.Server.Os}}'":
    "Go's field is APIVersion; ours knows both spellings",
  "plugin ls": "engine plug-ins are refused with one line",
};

/** Tags of one image come in the order of a Go map: any. */
const UNORDERED = /^(images|image l)/;

beforeAll(async () => {
  engine = await Engine.start();
  const ok = (...argv: string[]) => engine.ok(...argv);
  await ok("network", "create", "--label", "l=1", "front");
  await ok("network", "create", "--internal", "--subnet", "10.97.0.0/24", "back");
  await ok("volume", "create", "--label", "v=1", "data");
  await ok("volume", "create", "--label", "keep", "spare");
  await ok(
    ...["run", "-d", "--name", "web", "--label", "tier=front", "--label", "a=b,c", "--network", "front"],
    ...[
      "-p",
      "127.0.0.1:18231:80",
      "-p",
      "18232:81/udp",
      "--expose",
      "443-445",
      "-v",
      "data:/data",
      "-v",
      "/tmp:/host:ro",
    ],
    ...["-e", "X=y", "--health-cmd", "true", "--health-interval", "1s", BASE, "sleep", "1000"],
  );
  await ok("network", "connect", "back", "web");
  const words = 'a long command with "quotes" and more than twenty characters';
  await ok("create", "--name", "made", "--restart", "on-failure:3", "-m", "64m", "--cpus", "0.5", BASE, "echo", words);
  await engine.slipway(["run", "--name", "gone", BASE, "sh", "-c", "echo out; echo err >&2; exit 3"]);
  await ok("run", "-d", "--name", "held", BASE, "sleep", "1000");
  await ok("pause", "held");
  await ok("tag", BASE, "repo/app:v1");
  await ok("tag", BASE, "localhost:5000/x/y:z");
  const steps = ['LABEL k=v "a b"="c d"', "ENV A=1", "RUN echo hi > /x", "HEALTHCHECK CMD true", "EXPOSE 80 53/udp"];
  const more = ["VOLUME /v", "USER 1:2", 'ENTRYPOINT ["sh"]', 'CMD ["-c","x"]'];
  const context = engine.context({ Dockerfile: [`FROM ${BASE}`, ...steps, ...more, ""].join("\n") });
  await ok("build", "-q", "-t", "built:1", context);
  await healthy("web");
}, 60_000);
afterAll(async () => {
  await engine?.ok("unpause", "held");
  await engine?.[Symbol.asyncDispose]();
}, 60_000);

async function healthy(name: string): Promise<void> {
  for (const deadline = AbortSignal.timeout(20_000); ; deadline.throwIfAborted()) {
    if ((await engine.ok("inspect", "-f", "{{.State.Health.Status}}", name)) === "healthy") return;
    await Bun.sleep(50);
  }
}

function linesOf(file: string): string[] {
  const lines = readFileSync(join(FOLDER, file), "utf8").split("\n");
  return lines.filter((line) => line !== "" && !line.startsWith("#"));
}

const wordsOf = (line: string) =>
  [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");

async function both(line: string): Promise<{ docker: Output; slipway: Output }> {
  const env = {
    DOCKER_HOST: `unix://${engine.socket}`,
    DOCKER_CONFIG: join(engine.root, "config"),
    TZ: "UTC",
    DOCKER_BUILDKIT: "0",
  };
  const argv = wordsOf(line);
  const [docker, slipway] = await Promise.all(
    [["docker"], [SLIPWAY]].map((program) => run([...program, ...argv], { env })),
  );
  if (docker === undefined || slipway === undefined) throw new Error("no output");
  return { docker, slipway };
}

/** Between the two questions a second may pass, a health check run, and a column grow. */
function shown({ code, stdout, stderr }: Output, line: string) {
  const settle = (text: string) => {
    const ages = text.replace(/(\d+ seconds?|About a minute|Less than a second|\d+ minutes?)( ago)?/g, "<age>");
    const checks = ages.replace(/"(Start|End)": ?"[^"]*"/g, '"$1": "<date>"').replace(/"SystemTime":"[^"]*"/g, "");
    // A container's networks come in the order of a Go map.
    return checks.replaceAll("front,back", "back,front").replace(/ +/g, " ");
  };
  const lines = settle(stdout).split("\n");
  return { code, stdout: (UNORDERED.test(line) ? lines.sort() : lines).join("\n"), stderr: settle(stderr) };
}

/** The exit code, and which streams say something. */
const manner = ({ code, stdout, stderr }: Output) => ({
  code,
  stdout: stdout.trim() !== "",
  stderr: stderr.trim() !== "",
});

describe("shown alike", () => {
  for (const line of linesOf("shown.txt")) {
    test(line, async () => {
      const { docker, slipway } = await both(line);
      // What Docker's client refuses may be worded better here.
      const view = docker.code === 0 ? (output: Output) => shown(output, line) : manner;
      if (line in EXCEPTIONS) expect(view(slipway)).not.toEqual(view(docker));
      else expect(view(slipway)).toEqual(view(docker));
    });
  }
});

describe("refused alike", () => {
  const lines = linesOf("wrong.txt");
  test("there are more than a hundred", () => expect(lines.length).toBeGreaterThan(100));
  for (const line of lines) {
    test(line, async () => {
      const { docker, slipway } = await both(line);
      if (line in EXCEPTIONS) expect(manner(slipway)).not.toEqual(manner(docker));
      else expect(manner(slipway)).toEqual(manner(docker));
    }, 20_000);
  }
});
