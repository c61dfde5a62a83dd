/**
 * The script against a running engine that has nothing but the base image:
 *
 *     bun tests/docker-cli/run.ts --host unix:///run/slipway.sock [--client docker] [--engine slipway|docker-20.10]
 *       [--base slipway/base] [--netns FILE] [--section NAME]... [--verbose]
 *
 * It prints each failure with what was seen, each difference with its reason, and closes with
 * `N passed, M failed, K differ (listed)`. Containers, volumes, networks and images of the engine are removed.
 */
import { basename, resolve } from "node:path";
import { parseArgs } from "node:util";
import { DIFFERENCES } from "./differences.ts";
import { Runner, type Target } from "./runner.ts";
import { SECTIONS } from "./sections/index.ts";
import { Tally } from "./tally.ts";

const { values } = parseArgs({
  options: {
    host: { type: "string" },
    client: { type: "string", default: "docker" },
    engine: { type: "string", default: "slipway" },
    base: { type: "string", default: "slipway/base" },
    netns: { type: "string" },
    section: { type: "string", multiple: true, default: [] },
    verbose: { type: "boolean", default: false },
  },
});
if (values.host === undefined) {
  console.error("usage: bun tests/docker-cli/run.ts --host unix:///... [--client docker] [--engine docker-20.10]");
  process.exit(2);
}
const target: Target = {
  ...{ host: values.host, base: values.base },
  engine: values.engine === "docker-20.10" ? "docker-20.10" : "slipway",
  client: Bun.which(values.client) ?? resolve(values.client),
  clientName: clientName(values.client),
  ...(values.netns !== undefined && { netns: values.netns }),
};

function clientName(client: string): Target["clientName"] {
  if (basename(client) === "slipway") return "slipway";
  const version = Bun.spawnSync([client, "--version"]).stdout.toString();
  return version.includes("version 20.10") ? "docker-20.10" : "docker";
}

await using runner = new Runner(target, DIFFERENCES);
await runner.refuseUsedEngine();
const tally = new Tally();
for (const section of SECTIONS) {
  if (values.section.length > 0 && !values.section.includes(section.name)) continue;
  await runner.run(section, (result) => {
    tally.add(result);
    if (result.verdict === "failed") console.log(`FAIL ${result.section}: ${result.sentence}\n  ${result.detail}`);
    if (result.verdict === "differs") console.log(`diff ${result.section}: ${result.sentence}\n  ${result.detail}`);
    if (result.verdict === "passed" && values.verbose)
      console.log(`ok   ${result.section}: ${result.sentence} (${result.milliseconds.toFixed(0)} ms)`);
  });
}
console.log(tally.line());
process.exitCode = tally.failed.length === 0 ? 0 : 1;
