import { existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import { baseImageArchive } from "@slipway/testkit";

const DOCKERD = "/usr/sbin/dockerd";
const STARTS_WITHIN = 30_000;

/**
 * Debian's dockerd with everything of its own, also the network: it lives in a network namespace that has only a
 * loopback, so that its firewall rules and its bridge are nobody else's.
 */
export class DebianEngine implements AsyncDisposable {
  readonly netns: string;
  readonly #name: string;
  readonly #root: string;
  readonly #daemon: Bun.Subprocess;

  private constructor(name: string, root: string) {
    this.#name = name;
    this.#root = root;
    this.netns = `/run/netns/${name}`;
    const log = openSync(join(root, "log"), "a");
    const flags = [
      "--data-root",
      join(root, "data"),
      "--exec-root",
      join(root, "exec"),
      "--pidfile",
      join(root, "pid"),
    ];
    this.#daemon = Bun.spawn(["nsenter", `--net=${this.netns}`, DOCKERD, "-H", this.host, ...flags], {
      ...{ stdin: "ignore", stdout: log, stderr: log },
    });
  }

  get host(): string {
    return `unix://${join(this.#root, "s.sock")}`;
  }

  /** Starts one with the base image loaded, under the name of the image. */
  static async start(): Promise<DebianEngine> {
    if (!existsSync(DOCKERD))
      throw new SlipwayError("unavailable", `${DOCKERD} is missing`, { hint: "apt-get install docker.io" });
    const root = mkdtempSync(join(tmpdir(), "debian-docker-"));
    const name = root.slice(root.lastIndexOf("/") + 1);
    const ip = (...argv: string[]) => succeed(["ip", ...argv]);
    await ip("netns", "add", name);
    await ip("-n", name, "link", "set", "lo", "up");
    const engine = new DebianEngine(name, root);
    try {
      await engine.#answering();
      const archive = join(root, "base.tar");
      writeFileSync(archive, baseImageArchive());
      await succeed(["docker", "-H", engine.host, "load", "-q", "-i", archive]);
    } catch (error) {
      await engine[Symbol.asyncDispose]();
      throw error;
    }
    return engine;
  }

  async #answering(): Promise<void> {
    const deadline = AbortSignal.timeout(STARTS_WITHIN);
    for (;;) {
      try {
        if ((await fetch("http://engine/_ping", { unix: join(this.#root, "s.sock") })).ok) return;
      } catch {
        // It does not listen yet.
      }
      if (deadline.aborted || this.#daemon.exitCode !== null)
        throw new Error(`dockerd does not answer:\n${await Bun.file(join(this.#root, "log")).text()}`);
      await Bun.sleep(50);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#daemon.kill("SIGTERM");
    await this.#daemon.exited;
    await succeed(["sh", "-c", `grep -o '${this.#root}/[^ ]*' /proc/self/mounts | sort -r | xargs -r umount -l`]);
    await succeed(["ip", "netns", "del", this.#name]);
    rmSync(this.#root, { recursive: true });
  }
}

async function succeed(argv: readonly string[]): Promise<void> {
  const child = Bun.spawn([...argv], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const [stderr, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}: ${stderr}`);
}
