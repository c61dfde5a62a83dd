import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./harness.ts";

/** Debian's Docker on a data root of its own, without touching addresses or firewall rules. */
export class DebianDocker implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), "debian-docker-"));
  readonly #daemon = Bun.spawn(
    [
      ...["/usr/sbin/dockerd", "-H", `unix://${this.root}/s.sock`, "--data-root", `${this.root}/data`],
      ...[
        "--exec-root",
        `${this.root}/exec`,
        "--pidfile",
        `${this.root}/pid`,
        "--iptables=false",
        "--bridge=none",
        "--storage-driver=vfs",
      ],
    ],
    { stdout: Bun.file(join(this.root, "log")), stderr: Bun.file(join(this.root, "log")) },
  );

  async ready(): Promise<this> {
    while ((await this.#call("version")).code !== 0) {
      if (this.#daemon.exitCode !== null) throw new Error(await Bun.file(join(this.root, "log")).text());
      await Bun.sleep(50);
    }
    return this;
  }

  #call(...argv: string[]) {
    return run(["/usr/bin/docker", ...argv], { env: { DOCKER_HOST: `unix://${this.root}/s.sock` } });
  }

  async ok(...argv: string[]): Promise<string> {
    const output = await this.#call(...argv);
    if (output.code !== 0) throw new Error(`docker ${argv.join(" ")}: ${output.stderr}`);
    return output.stdout.trimEnd();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#daemon.kill("SIGTERM");
    await this.#daemon.exited;
    rmSync(this.root, { recursive: true });
  }
}
