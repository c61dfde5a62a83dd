/**
 * Makes `dist/slipway`: one executable of the command line, the engine and all of its workers.
 *
 * Plain commands must start in a few milliseconds, so the code is cut into chunks that are loaded when they are called
 * (`splitting`) and brought as bytecode, which needs no parsing. Workers are entry points of their own. In the executable
 * all chunks lie in one folder, so each worker is given a second name there: then the same
 * `new Worker(new URL("./x-worker.ts", import.meta.url))` finds it from source and from the executable.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { directImports } from "./direct-imports.ts";

const REPOSITORY = join(import.meta.dir, "..");
const OUTPUT = join(REPOSITORY, "dist/slipway");

const start = performance.now();
const workers = workerFiles();
const duplicate = workers.find((file, at) => workers.findIndex((other) => basename(other) === basename(file)) !== at);
if (duplicate !== undefined) throw new Error(`two workers are called ${basename(duplicate)}: their names must differ`);

const aliases = Object.fromEntries(
  workers.map((file) => [join(REPOSITORY, basename(file)), `import ${JSON.stringify(file)};\n`]),
);

mkdirSync(join(REPOSITORY, "dist"), { recursive: true });
// A running engine keeps its executable: the new one takes its name only when it is whole.
const temporary = `${OUTPUT}.${process.pid}`;
const manifest = (await Bun.file(join(REPOSITORY, "package.json")).json()) as { version: string };
const result = await Bun.build({
  entrypoints: [join(REPOSITORY, "packages/cli/src/main.ts"), ...workers, ...Object.keys(aliases)],
  files: aliases,
  root: REPOSITORY,
  target: "bun",
  format: "esm",
  plugins: [directImports(REPOSITORY)],
  minify: true,
  bytecode: true,
  splitting: true,
  define: {
    SLIPWAY_VERSION: JSON.stringify(manifest.version),
    SLIPWAY_COMMIT: JSON.stringify(git("rev-parse", "--short=7", "HEAD") || "unknown"),
    SLIPWAY_BUILT: JSON.stringify(git("log", "-1", "--format=%cI")),
  },
  compile: {
    outfile: temporary,
    // What lies in a user's directory must not change what the executable does.
    autoloadDotenv: false,
    autoloadBunfig: false,
    autoloadTsconfig: false,
    autoloadPackageJson: false,
  },
  throw: false,
});
if (!result.success) {
  for (const log of result.logs) console.error(String(log));
  rmSync(temporary, { force: true });
  process.exit(1);
}
renameSync(temporary, OUTPUT);

const own = statSync(OUTPUT).size - statSync(process.execPath).size;
console.log(
  `dist/slipway: ${megabytes(statSync(OUTPUT).size)} (${megabytes(own)} of them ours), ${workers.length} workers, ${Math.round(performance.now() - start)} ms`,
);

function workerFiles(): string[] {
  const packages = join(REPOSITORY, "packages");
  return readdirSync(packages)
    .filter((name) => name !== "testkit")
    .flatMap((name) => {
      const sources = join(packages, name, "src");
      const files = readdirSync(sources, { recursive: true, encoding: "utf8" });
      return files.filter((file) => file.endsWith("-worker.ts")).map((file) => join(sources, file));
    })
    .sort();
}

function git(...args: string[]): string {
  const { status, stdout } = spawnSync("git", args, { cwd: REPOSITORY, encoding: "utf8" });
  return status === 0 ? stdout.trim() : "";
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
