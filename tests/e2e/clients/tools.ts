import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../harness.ts";

/**
 * Programs and libraries of other people, from their package registries as this machine's npm, pip and go reach them: each set
 * is installed once, below the system's temporary directory, and found there by the next run.
 */
const CACHE = join(tmpdir(), "slipway-interop");

/** A folder whose `node_modules` has these packages. */
export async function npmFolder(...packages: string[]): Promise<string> {
  return await installed("npm", packages, async (folder) => {
    writeFileSync(join(folder, "package.json"), '{"private":true}');
    await must(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", ...packages], { cwd: folder });
  });
}

/** A folder for `PYTHONPATH` with these packages. */
export async function pythonFolder(...packages: string[]): Promise<string> {
  return await installed("pip", packages, async (folder) => {
    await must([
      "python3",
      "-m",
      "pip",
      "install",
      "-q",
      "--disable-pip-version-check",
      "--target",
      folder,
      ...packages,
    ]);
  });
}

/** An unpacked source distribution. */
export async function pythonSource(name: string, version: string): Promise<string> {
  const folder = await installed("pip-source", [name, version], async (folder) => {
    await must([
      "python3",
      "-m",
      "pip",
      "download",
      "-q",
      "--no-deps",
      "--no-binary",
      name,
      "-d",
      folder,
      `${name}==${version}`,
    ]);
    await must(["tar", "-xzf", `${name}-${version}.tar.gz`], { cwd: folder });
  });
  return join(folder, `${name}-${version}`);
}

/** A static program of a Go module: `flags` go to `go build`. Takes minutes the first time if the module is large. */
export async function goProgram(module: string, path: string, flags: readonly string[] = []): Promise<string> {
  const [name = "", version = ""] = module.split("@");
  const folder = await installed("go", [module, path, ...flags], async (folder) => {
    writeFileSync(join(folder, "go.mod"), `module foreign\ngo 1.24\nrequire ${name} ${version}\n`);
    writeFileSync(join(folder, "tool.go"), `//go:build tools\n\npackage foreign\nimport _ "${path}"\n`);
    const env = { CGO_ENABLED: "0", GOFLAGS: "-mod=mod" };
    await must(["go", "mod", "tidy"], { cwd: folder, env });
    await must(["go", "build", "-trimpath", "-ldflags", "-s -w", ...flags, "-o", "program", path], {
      cwd: folder,
      env,
    });
  });
  return join(folder, "program");
}

/** A folder of the cache that `fill` makes if it is not there; two test runs at once make it one after the other. */
export async function installed(
  kind: string,
  names: readonly string[],
  fill: (folder: string) => Promise<void>,
): Promise<string> {
  const label = names.map((name) => name.replace(/[^\w.-]+/g, "_")).join("+");
  const folder = join(CACHE, kind, label.length > 100 ? `${label.slice(0, 80)}-${Bun.hash(label)}` : label);
  const done = join(folder, ".complete");
  mkdirSync(folder, { recursive: true });
  await using _lock = await FileLock.take(`${folder}.lock`);
  if (!existsSync(done)) {
    // What a run that was ended left half done is taken away first.
    await must(["find", folder, "-mindepth", "1", "-delete"]);
    await fill(folder);
    writeFileSync(done, "");
  }
  return folder;
}

/** `flock` in a process of its own: ended with us, however we end. */
class FileLock implements AsyncDisposable {
  readonly #holder: Bun.Subprocess<"pipe", "pipe", "inherit">;

  private constructor(holder: Bun.Subprocess<"pipe", "pipe", "inherit">) {
    this.#holder = holder;
  }

  static async take(path: string): Promise<FileLock> {
    const holder = Bun.spawn(["flock", path, "sh", "-c", "echo; read _"], { stdin: "pipe", stdout: "pipe" });
    await holder.stdout.getReader().read();
    return new FileLock(holder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stdin.end();
    await this.#holder.exited;
  }
}

export async function must(argv: readonly string[], options: Parameters<typeof run>[1] = {}): Promise<string> {
  const output = await run(argv, options);
  if (output.code !== 0)
    throw new Error(`${argv.join(" ")} ended with ${output.code}:\n${output.stdout}${output.stderr}`);
  return output.stdout;
}
