/**
 * Runs a suite and closes with one line, `N passed, N failed`.
 *
 * `bun scripts/run-tests.ts default|interop [path ...]`. Each top-level folder of tests runs in a process of its own, so
 * that a crash is charged to its folder and what one leaves behind cannot reach the next.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve, sep } from "node:path";

const REPOSITORY = resolve(import.meta.dir, "..");
const [suite = "default", ...paths] = process.argv.slice(2);

interface Outcome {
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
}

function testFiles(): string[] {
  const isInterop = (path: string) => path.endsWith(".interop.test.ts");
  const roots = paths.map((path) => resolve(path));
  return [...new Bun.Glob("{packages,tests,scripts,bench}/**/*.test.ts").scanSync({ cwd: REPOSITORY, absolute: true })]
    .filter((path) => !path.includes(`${sep}node_modules${sep}`))
    .filter((path) => isInterop(path) === (suite === "interop"))
    .filter((path) => roots.length === 0 || roots.some((root) => path === root || path.startsWith(root + sep)))
    .sort();
}

/** `packages/store`, `tests/e2e`: what runs in one process. */
function folderOf(path: string): string {
  return relative(REPOSITORY, path).split(sep).slice(0, 2).join(sep);
}

async function runFolder(folder: string, files: readonly string[]): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), "slipway-check-"));
  const report = join(directory, "report.xml");
  const began = performance.now();
  try {
    const child = Bun.spawn(
      [process.execPath, "test", "--timeout", "60000", "--reporter=junit", `--reporter-outfile=${report}`, ...files],
      { cwd: REPOSITORY, stdout: "pipe", stderr: "pipe", env: { ...process.env, FORCE_COLOR: "0" } },
    );
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    const counts = readReport(report);
    // A process that died without a failed test, or without a report, is a failure too.
    const failed = counts.failed + (code !== 0 && counts.failed === 0 ? 1 : 0);
    if (failed > 0) process.stdout.write(failuresOnly(stdout + stderr));
    return { name: folder, passed: counts.passed, failed, seconds: (performance.now() - began) / 1000 };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function readReport(path: string): { passed: number; failed: number } {
  const root = existsSync(path) ? (/<testsuites [^>]*>/.exec(readFileSync(path, "utf8"))?.[0] ?? "") : "";
  const attribute = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(root)?.[1] ?? 0);
  const failed = attribute("failures") + attribute("errors");
  return { passed: attribute("tests") - failed - attribute("skipped"), failed };
}

function failuresOnly(output: string): string {
  return `${output
    .split("\n")
    .filter((line) => !line.startsWith("(pass)"))
    .join("\n")}\n`;
}

async function runTool(name: string, command: string[]): Promise<Outcome> {
  const began = performance.now();
  const child = Bun.spawn(command, { cwd: REPOSITORY, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) process.stdout.write(stdout + stderr);
  return { name, passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, seconds: (performance.now() - began) / 1000 };
}

function show(outcome: Outcome): Outcome {
  const { name, passed, failed, seconds } = outcome;
  console.log(
    `${failed === 0 ? "ok  " : "FAIL"} ${name.padEnd(24)} ${passed} passed, ${failed} failed  ${seconds.toFixed(1)} s`,
  );
  return outcome;
}

const outcomes: Outcome[] = [];
if (suite === "default" && paths.length === 0) {
  outcomes.push(show(await runTool("types", ["tsc", "-p", "tsconfig.json"])));
  outcomes.push(show(await runTool("lint", ["biome", "check", "."])));
}
for (const [folder, files] of Map.groupBy(testFiles(), folderOf)) outcomes.push(show(await runFolder(folder, files)));

const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0);
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
