import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAM = "github.com/versity/versitygw/cmd/versitygw";
const VERSION = "v1.8.0";
const ACCESS_KEY = "test-access";
const SECRET_KEY = "test-secret-key";

/** What a client of the server needs in its environment. */
export const S3_ENVIRONMENT = { AWS_ACCESS_KEY_ID: ACCESS_KEY, AWS_SECRET_ACCESS_KEY: SECRET_KEY };

/** A real S3-compatible object store, Versity's gateway over a folder, at a port of its own. */
export class S3Server implements AsyncDisposable {
  readonly endpoint: string;
  readonly #child: Bun.Subprocess;
  readonly #folder: string;

  static async start(): Promise<S3Server> {
    const program = install();
    const folder = mkdtempSync(join(tmpdir(), "slipway-s3-"));
    mkdirSync(join(folder, "bucket"));
    const port = await freePort();
    const child = Bun.spawn([program, "--port", `127.0.0.1:${port}`, "--keep-alive", "--quiet", "posix", folder], {
      env: { ...process.env, ROOT_ACCESS_KEY: ACCESS_KEY, ROOT_SECRET_KEY: SECRET_KEY },
      stdout: "ignore",
      stderr: "ignore",
    });
    const server = new S3Server(`http://127.0.0.1:${port}`, child, folder);
    for (let attempt = 0; ; attempt++) {
      const answer = await fetch(server.endpoint).catch(() => undefined);
      if (answer !== undefined) return server;
      if (attempt > 400 || child.exitCode !== null) throw new Error("the object store does not start");
      await Bun.sleep(25);
    }
  }

  private constructor(endpoint: string, child: Bun.Subprocess, folder: string) {
    this.endpoint = endpoint;
    this.#child = child;
    this.#folder = folder;
  }

  /** A place for `openRegistryStorage`: the same prefix names the same registry. */
  place(prefix: string): string {
    return `s3://bucket/${prefix}?endpoint=${encodeURIComponent(this.endpoint)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Built once by Go into a folder that stays. */
function install(): string {
  const folder = join(tmpdir(), "slipway-tools", `versitygw-${VERSION}`);
  const program = join(folder, "versitygw");
  if (existsSync(program)) return program;
  const env = { ...process.env, GOBIN: folder };
  const { status, stderr } = spawnSync("go", ["install", `${PROGRAM}@${VERSION}`], { env, encoding: "utf8" });
  if (status !== 0) throw new Error(`go install ${PROGRAM}: ${stderr}`);
  return program;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
