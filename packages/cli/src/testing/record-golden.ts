/**
 * Writes down what Docker's own client (28.2.2) prints for the commands in `golden/commands.txt`, asked about the canned
 * engine. Run by hand: `bun packages/cli/src/testing/record-golden.ts`. Tests then need no Docker.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CannedEngine } from "./canned-engine.ts";
import { maskTimes, parseCommandLine } from "./golden-lines.ts";

const GOLDEN = join(import.meta.dir, "../../golden");
const directory = mkdtempSync(join(tmpdir(), "slipway-golden-"));
const records: unknown[] = [];
{
  using engine = new CannedEngine(join(directory, "s.sock"));
  const lines = readFileSync(join(GOLDEN, "commands.txt"), "utf8").split("\n");
  for (const line of lines.filter((text) => text !== "" && !text.startsWith("#"))) {
    const { argv, stdin } = parseCommandLine(line);
    const child = Bun.spawn(["docker", ...argv], {
      stdin: Buffer.from(stdin),
      stdout: "pipe",
      stderr: "pipe",
      env: {
        PATH: process.env.PATH ?? "",
        DOCKER_HOST: `unix://${engine.socket}`,
        DOCKER_CONFIG: directory,
        TZ: "UTC",
      },
    });
    const [stdout, stderr, exit] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    records.push({ command: line, exit, stdout: maskTimes(stdout), stderr: maskTimes(stderr) });
  }
}
rmSync(directory, { recursive: true });
writeFileSync(
  join(GOLDEN, "docker-28.json"),
  `[\n${records.map((record) => ` ${JSON.stringify(record)}`).join(",\n")}\n]\n`,
);
