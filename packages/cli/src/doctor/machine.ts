import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface Ran {
  /** -1 when the program is missing or took too long. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The machine that is looked at: this one, or in tests a tree of files that stands for another. */
export class Machine {
  readonly #root: string;

  constructor(root = "/") {
    this.#root = root;
  }

  /** The file's text without its last newline, or undefined. */
  read(path: string): string | undefined {
    try {
      return readFileSync(join(this.#root, path), "utf8").trimEnd();
    } catch {
      return undefined;
    }
  }

  list(path: string): string[] {
    try {
      return readdirSync(join(this.#root, path));
    } catch {
      return [];
    }
  }

  has(path: string): boolean {
    return this.read(path) !== undefined || this.list(path).length > 0;
  }

  /** The program's path; daemons have a longer PATH than users. */
  find(program: string): string | undefined {
    const path = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`;
    return Bun.which(program, { PATH: path }) ?? undefined;
  }

  async run(argv: readonly string[], milliseconds = 5000): Promise<Ran> {
    const [program = "", ...rest] = argv;
    const path = this.find(program);
    if (path === undefined) return { code: -1, stdout: "", stderr: `${program} is not installed` };
    const child = Bun.spawn([path, ...rest], { stdio: ["ignore", "pipe", "pipe"], timeout: milliseconds });
    const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    await child.exited;
    return { code: child.exitCode ?? -1, stdout, stderr: stderr.trim() };
  }
}
