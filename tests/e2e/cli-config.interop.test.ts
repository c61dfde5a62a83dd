import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BASE, Engine, type Output, run, SLIPWAY } from "./harness.ts";

/** The user's `config.json` and environment, read by Docker's own client (28) and by ours, against one engine. */
let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
  await engine.ok("run", "-d", "--name", "web", "--network", "none", "--label", "keep=1", BASE, "sleep", "1000");
  await engine.ok("volume", "create", "--label", "keep=1", "data");
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

function folder(config: object | string): string {
  const directory = mkdtempSync(join(engine.root, "config-"));
  writeFileSync(join(directory, "config.json"), typeof config === "string" ? config : JSON.stringify(config));
  return directory;
}

async function both(
  config: object | string,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ docker: Output; slipway: Output }> {
  const directory = folder(config);
  const ask = (program: string) =>
    run([program, "--config", directory, ...argv], {
      env: { DOCKER_HOST: `unix://${engine.socket}`, DOCKER_BUILDKIT: "0", ...env },
    });
  return { docker: await ask("docker"), slipway: await ask(SLIPWAY) };
}

const sortedLines = ({ stdout }: Output) => stdout.split("\n").sort();

describe("formats", () => {
  const config = {
    psFormat: "{{.Names}}|{{.Image}}",
    imagesFormat: "table {{.Repository}}\t{{.ID}}",
    networksFormat: "{{.Name}} by {{.Driver}}",
    volumesFormat: "json",
    statsFormat: "{{.Name}} {{.PIDs}}",
  };
  for (const argv of [
    ...[["ps"], ["ps", "-q"], ["ps", "-a", "--no-trunc"], ["ps", "--format", "{{.ID}}"], ["ps", "--format", "table"]],
    ...[["images"], ["images", "-q"], ["image", "ls"], ["network", "ls"], ["network", "ls", "-q"]],
    ...[
      ["volume", "ls"],
      ["volume", "ls", "-q"],
      ["stats", "--no-stream"],
    ],
  ]) {
    test(`of ${argv.join(" ")} are the file's`, async () => {
      const { docker, slipway } = await both(config, argv);
      expect(slipway).toEqual(docker);
    });
  }
});

describe("proxies", () => {
  const proxies = {
    default: {
      httpProxy: "http://p:1",
      httpsProxy: "http://p:2",
      noProxy: "a,b",
      ftpProxy: "f",
      allProxy: "socks5://s",
    },
  };
  for (const flags of [[], ["-e", "HTTP_PROXY=mine"], ["-e", "http_proxy="], ["-e", "A=1", "-e", "NO_PROXY"]]) {
    test(`reach a container of run ${flags.join(" ")}`, async () => {
      const argv = ["run", "--rm", "--network", "none", "--hostname", "h", ...flags, BASE, "env"];
      const { docker, slipway } = await both({ proxies }, argv, { NO_PROXY: "from-outside" });
      expect(slipway.code).toBe(0);
      expect(sortedLines(slipway)).toEqual(sortedLines(docker));
      expect(slipway.stdout).toContain("HTTPS_PROXY=http://p:2\n");
    });
  }

  test("of this engine's address stand before the default ones", async () => {
    const own = { proxies: { ...proxies, [`unix://${engine.socket}`]: { httpProxy: "http://own" } } };
    const { docker, slipway } = await both(own, ["run", "--rm", "--network", "none", "--hostname", "h", BASE, "env"]);
    expect(sortedLines(slipway)).toEqual(sortedLines(docker));
    expect(slipway.stdout).toContain("http_proxy=http://own\n");
    expect(slipway.stdout).not.toContain("NO_PROXY");
  });

  test("reach the steps of a build, but not its image", async () => {
    const steps = ['RUN echo "$http_proxy $HTTPS_PROXY $no_proxy" > /seen', "ARG OTHER"];
    const context = engine.context({ Dockerfile: [`FROM ${BASE}`, ...steps, ""].join("\n") });
    const directory = folder({ proxies });
    await engine.ok("--config", directory, "build", "-t", "proxied", "--build-arg", "no_proxy=mine", context);
    expect(await engine.ok("run", "--rm", "proxied", "cat", "/seen")).toBe("http://p:1 http://p:2 mine");
    expect(await engine.ok("image", "inspect", "-f", "{{.Config.Env}}", "proxied")).not.toContain("proxy");
  });

  test("are not given to exec", async () => {
    const { docker, slipway } = await both({ proxies }, ["exec", "web", "env"]);
    expect(slipway).toEqual(docker);
    expect(slipway.stdout).not.toContain("PROXY");
  });
});

// Docker's client (28) passes over filters for labels here unless the command line filters by labels too: it removes what
// the file says to keep. Ours keeps it.
test("filters of prunes are the file's too", async () => {
  for (const name of ["kept", "gone"]) await engine.ok("volume", "create", "--label", name, name);
  const directory = folder({ pruneFilters: ["label!=kept", "label!=keep=1"] });
  await engine.ok("--config", directory, "volume", "prune", "-af");
  expect(await engine.ok("volume", "ls", "-q")).toBe("data\nkept");
  await engine.ok("run", "--name", "old", "--network", "none", BASE, "true");
  const { docker, slipway } = await both({ pruneFilters: ["until=1h"] }, ["container", "prune", "-f"]);
  expect(slipway).toEqual(docker);
  expect(await engine.ok("ps", "-aq", "--filter", "name=old")).not.toBe("");
});

test("DOCKER_CUSTOM_HEADERS that is none is refused, and a wrong DOCKER_API_VERSION too", async () => {
  const headers = await both({}, ["ps"], { DOCKER_CUSTOM_HEADERS: "bogus" });
  expect(headers.slipway.code).toBe(headers.docker.code);
  expect(headers.slipway.stderr).toContain(`missing "=" in key=value pair: 'bogus'`);
  const version = await both({}, ["ps", "-q"], { DOCKER_API_VERSION: "v1.41" });
  expect(version.slipway).toEqual(version.docker);
  const wrong = await both({}, ["ps"], { DOCKER_API_VERSION: "new" });
  expect(wrong.slipway.code).toBe(wrong.docker.code);
  expect(wrong.slipway.stderr).toContain("DOCKER_API_VERSION");
});

test("a broken file is told with its place, and the command goes on", async () => {
  const { docker, slipway } = await both('{"psFormat": "x",\n  "detachKeys" "a"}', ["ps", "-q"]);
  expect(slipway.code).toBe(docker.code);
  expect(slipway.stdout).toBe(docker.stdout);
  expect(slipway.stderr).toMatch(/^WARNING: Error parsing config file: .*config\.json:2:16: a colon was expected/);
});

test("DOCKER_HIDE_LEGACY_COMMANDS leaves the groups and the common commands in the help", async () => {
  const { slipway } = await both({}, ["--help"], { DOCKER_HIDE_LEGACY_COMMANDS: "1" });
  expect(slipway.stdout).toMatch(/^ {2}run /m);
  expect(slipway.stdout).toMatch(/^ {2}container /m);
  expect(slipway.stdout).not.toMatch(/^ {2}(kill|commit|rename) /m);
});

test("currentContext is the file's, and is not written into a broken file", async () => {
  const directory = folder('{"currentContext": 5}');
  const ask = (...argv: string[]) => run([SLIPWAY, "--config", directory, ...argv], { env: { DOCKER_HOST: "" } });
  expect((await ask("context", "create", "there", "--docker", `host=unix://${engine.socket}`)).code).toBe(0);
  const used = await ask("context", "use", "there");
  expect(used.code).toBe(1);
  expect(used.stderr).toContain("config.json:1: currentContext must be a string");
  expect(readFileSync(join(directory, "config.json"), "utf8")).toBe('{"currentContext": 5}');
  writeFileSync(join(directory, "config.json"), '{"currentContext": "there"}');
  expect((await ask("ps", "-q")).code).toBe(0);
});
