import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";

/** Debian's docker-registry on loopback, empty, for one test. */
export class DockerRegistry implements AsyncDisposable {
  /** `localhost:port`, as image names have it. */
  readonly host: string;
  readonly root: string;
  readonly #process: Bun.Subprocess;

  private constructor(host: string, root: string, process: Bun.Subprocess) {
    this.host = host;
    this.root = root;
    this.#process = process;
  }

  /** `more` goes into its configuration, as YAML without indentation. */
  static async start(more = ""): Promise<DockerRegistry> {
    const program = "/usr/bin/docker-registry";
    if (!existsSync(program)) {
      throw new SlipwayError("unavailable", `${program} is missing`, { hint: "apt-get install docker-registry" });
    }
    const root = mkdtempSync(join(tmpdir(), "slipway-registry-"));
    const port = freePort();
    const config = join(root, "config.yml");
    writeFileSync(
      config,
      `version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: ${join(root, "data")}}, delete: {enabled: true}}
http: {addr: "127.0.0.1:${port}"}
${more}`,
    );
    const log = Bun.file(join(root, "log"));
    const child = Bun.spawn([program, "serve", config], { stdin: "ignore", stdout: log, stderr: log });
    const registry = new DockerRegistry(`localhost:${port}`, root, child);
    await registry.#answering();
    return registry;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  async #answering(): Promise<void> {
    const deadline = AbortSignal.timeout(20_000);
    for (;;) {
      try {
        const { status } = await fetch(`${this.url}/v2/`);
        if (status === 200 || status === 401) return;
      } catch {
        // It does not listen yet.
      }
      if (deadline.aborted || this.#process.exitCode !== null) throw new Error("docker-registry does not answer");
      await Bun.sleep(10);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#process.exited;
    rmSync(this.root, { recursive: true });
  }
}

/** A port that nobody listens on. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}
