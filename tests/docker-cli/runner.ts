import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClientName, Difference } from "./differences.ts";
import type { Assertion, Expected, Output, Section } from "./vocabulary.ts";

export type EngineName = "docker-20.10" | "slipway";

export interface Target {
  /** The name that the differences use. */
  readonly engine: EngineName;
  /** `unix:///...` */
  readonly host: string;
  /** The client's executable. */
  readonly client: string;
  /** The name that the differences use for it. */
  readonly clientName: ClientName;
  /** The base image's name on the engine. */
  readonly base: string;
  /** The network namespace that the engine lives in, as a file. The client then runs there too: published ports are there. */
  readonly netns?: string;
}

export type Verdict = "passed" | "failed" | "differs";

export interface Result {
  readonly section: string;
  readonly sentence: string;
  readonly verdict: Verdict;
  /** The reason of a difference, or what was seen and what was expected. */
  readonly detail: string;
  readonly milliseconds: number;
}

interface Seen {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const PRELUDE = `wait_for() {
  n=0
  until eval "$1" >/dev/null 2>&1; do
    n=$((n+1))
    if [ $n -gt 200 ]; then echo "it never came true: $1" >&2; return 1; fi
    sleep 0.05
  done
}
`;
const COMMAND_SECONDS = 60;

/** Runs sections against an engine that has nothing but the base image, and leaves it so. */
export class Runner implements AsyncDisposable {
  readonly #target: Target;
  readonly #differences: readonly Difference[];
  readonly #directory = mkdtempSync(join(tmpdir(), "docker-cli-"));

  constructor(target: Target, differences: readonly Difference[]) {
    this.#target = target;
    this.#differences = differences;
    mkdirSync(join(this.#directory, "bin"));
    const client = join(this.#directory, "bin/docker");
    writeFileSync(client, `#!/bin/sh\nexec ${target.client} "$@"\n`);
    chmodSync(client, 0o755);
  }

  /** Throws when the engine holds something that the script would remove. */
  async refuseUsedEngine(): Promise<void> {
    const { out, err, code } = await this.#shell(
      "docker ps -aq; docker volume ls -q; docker images -q --no-trunc | sort -u | tail -n +2; docker network ls -q | tail -n +4",
      this.#directory,
      await this.#environment(),
    );
    if (code !== 0) throw new Error(`the engine does not answer: ${err}`);
    if (out !== "")
      throw new Error("the engine is in use; the script removes all that it finds, so give it an empty one");
  }

  async run(section: Section, report: (result: Result) => void): Promise<void> {
    const directory = join(this.#directory, section.name.replaceAll(/[^a-z0-9]+/g, "-"));
    mkdirSync(directory);
    const environment = await this.#environment();
    let broken: string | undefined;
    for (const line of section.lines) {
      const began = performance.now();
      const seen = broken === undefined ? await this.#shell(line.command, directory, environment) : undefined;
      const milliseconds = performance.now() - began;
      if (line.kind === "assertion") {
        const { sentence } = line;
        const outcome =
          seen === undefined
            ? { verdict: "failed" as const, detail: `an earlier step failed: ${broken}` }
            : this.#judge(section, line, seen);
        report({ section: section.name, sentence, ...outcome, milliseconds });
      } else if (seen !== undefined && seen.code !== 0) {
        broken = `${line.command} ended with ${seen.code}: ${seen.err}`;
      }
    }
    await this.#sweep(environment);
    rmSync(directory, { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.#directory, { recursive: true });
  }

  #judge(section: Section, assertion: Assertion, seen: Seen): { verdict: Verdict; detail: string } {
    const { engine, clientName } = this.#target;
    const difference = this.#differences.find(
      (entry) =>
        (entry.engine ?? engine) === engine &&
        (entry.client ?? clientName) === clientName &&
        entry.section === section.name &&
        entry.sentence === assertion.sentence,
    );
    const asTheScriptSays = mismatch(assertion.expected, seen) === undefined;
    if (difference === undefined || (difference.dependsOnMachine === true && asTheScriptSays)) {
      const wrong = mismatch(assertion.expected, seen);
      return wrong === undefined
        ? { verdict: "passed", detail: "" }
        : { verdict: "failed", detail: `${assertion.command}\n${wrong}` };
    }
    const wrong = mismatch({ ...assertion.expected, ...difference.expected }, seen);
    if (wrong !== undefined) return { verdict: "failed", detail: `${assertion.command}\n${wrong}` };
    if (asTheScriptSays) return { verdict: "failed", detail: "it is listed as a difference, and is none any more" };
    return { verdict: "differs", detail: difference.reason };
  }

  async #shell(command: string, cwd: string, env: Record<string, string>): Promise<Seen> {
    const { netns } = this.#target;
    const enter = netns === undefined ? [] : ["nsenter", `--net=${netns}`];
    const child = Bun.spawn([...enter, "timeout", String(COMMAND_SECONDS), "sh", "-c", `${PRELUDE}${command}`], {
      cwd,
      env: { ...process.env, ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, out: this.#named(out).replace(/\n$/, ""), err: this.#named(err).replace(/\n$/, "") };
  }

  /** What a client calls itself is no difference: `slipway: ...`, `Run 'slipway run --help'`. */
  #named(text: string): string {
    return this.#target.clientName !== "slipway" ? text : text.replaceAll(/\bslipway(?=:| [a-zA-Z[-])/g, "docker");
  }

  async #environment(): Promise<Record<string, string>> {
    const { host, base } = this.#target;
    const [one, two, three] = await freePorts();
    return {
      PATH: `${join(this.#directory, "bin")}:${process.env.PATH}`,
      HOME: this.#directory,
      DOCKER_HOST: host,
      DOCKER_CONFIG: join(this.#directory, "config"),
      DOCKER_BUILDKIT: "0",
      DOCKER_CLI_HINTS: "false",
      NO_COLOR: "1",
      LC_ALL: "C",
      TZ: "UTC",
      BASE: base,
      PORT1: String(one),
      PORT2: String(two),
      PORT3: String(three),
    };
  }

  /** Takes away what a section left, so that each begins on an empty engine. */
  async #sweep(environment: Record<string, string>): Promise<void> {
    const sweep = `
      c=$(docker ps -aq); [ -z "$c" ] || docker rm -fv $c
      v=$(docker volume ls -q); [ -z "$v" ] || docker volume rm -f $v
      docker network prune -f
      docker builder prune -af
      keep=$(docker image inspect -f '{{.Id}}' $BASE)
      for i in $(docker images -aq --no-trunc | sort -u); do [ "$i" = "$keep" ] || docker rmi -f $i; done
      for n in $(docker images --format '{{.Repository}}:{{.Tag}}'); do [ "$n" = "$BASE" ] || [ "$n" = "$BASE:latest" ] || docker rmi -f $n; done
      docker image prune -f`;
    await this.#shell(`{ ${sweep}\n} >/dev/null 2>&1; true`, this.#directory, environment);
  }
}

function mismatch(expected: Expected, seen: Seen): string | undefined {
  const wrong = [
    ...(seen.code === expected.code ? [] : [`exit code: ${seen.code}, expected ${expected.code}`]),
    ...(matches(expected.out, seen.out) ? [] : [`stdout: ${show(seen.out)}, expected ${describe(expected.out)}`]),
    ...(matches(expected.err, seen.err) ? [] : [`stderr: ${show(seen.err)}, expected ${describe(expected.err)}`]),
  ];
  if (wrong.length === 0) return undefined;
  const rest = [`exit code ${seen.code}`, `stdout ${show(seen.out)}`, `stderr ${show(seen.err)}`];
  return `    ${wrong.join("\n    ")}\n    seen: ${rest.join(", ")}`;
}

function matches(expected: Output, text: string): boolean {
  if (typeof expected === "string") return text === expected;
  return expected instanceof RegExp ? expected.test(text) : expected(text);
}

function show(text: string): string {
  return JSON.stringify(text.length > 1500 ? `${text.slice(0, 1500)}...` : text);
}

function describe(expected: Output): string {
  return typeof expected === "string" ? JSON.stringify(expected) : String(expected);
}

async function freePorts(): Promise<readonly number[]> {
  const servers = [createServer(), createServer(), createServer()];
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once("error", reject);
          server.listen(0, "127.0.0.1", () => {
            const address = server.address();
            resolve(address !== null && typeof address === "object" ? address.port : 0);
          });
        }),
    ),
  );
  for (const server of servers) server.close();
  return ports;
}
