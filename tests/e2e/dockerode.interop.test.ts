import { afterAll, beforeAll, expect, test } from "bun:test";
import { debianTar, dockerodeCheckout, runDockerode } from "./dockerode-suite.ts";
import { Engine, run } from "./harness.ts";

/**
 * The tests of dockerode 5, its own. The suite asks for fixed subnets, which may be taken on this machine: the engine runs in a
 * network namespace of its own.
 */
const NAMESPACE = `slipway-dockerode-${process.pid}`;

/** What cannot pass, and why. Everything else must. */
const EXPECTED_FAILURES: readonly (readonly [title: RegExp, reason: string])[] = [
  [/^#swarm /, "makes this host a swarm; there is none here"],
  [/^#plugin #install/, "installs a plug-in from Docker Hub"],
  [/#pull |#createImage |#searchImages |#distribution /, "asks Docker Hub"],
  [/BuildKit|buildKit/, "BuildKit's session is not served yet"],
];

let engine: Engine;
beforeAll(async () => {
  for (const argv of [
    ["ip", "netns", "add", NAMESPACE],
    ["ip", "-n", NAMESPACE, "link", "set", "lo", "up"],
  ]) {
    const { code, stderr } = await run(argv);
    if (code !== 0) throw new Error(`${argv.join(" ")}: ${stderr}`);
  }
  engine = await Engine.start([], ["nsenter", `--net=/run/netns/${NAMESPACE}`]);
  await engine.ok("import", "--change", 'CMD ["bash"]', await debianTar(), "ubuntu:latest");
  await engine.ok("tag", "ubuntu", "alpine");
}, 300_000);

afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  await run(["ip", "netns", "del", NAMESPACE]);
}, 60_000);

test("dockerode's own suite passes, but for what needs a swarm, Docker Hub or BuildKit's session", async () => {
  const { passed, failed } = await runDockerode(await dockerodeCheckout(), engine.socket, engine.root);
  const unexpected = [...failed].filter(([title]) => !EXPECTED_FAILURES.some(([pattern]) => pattern.test(title)));
  expect(unexpected).toEqual([]);
  expect(passed.length).toBeGreaterThan(95);
}, 600_000);
