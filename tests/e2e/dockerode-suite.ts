import { cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import { run } from "./harness.ts";

/** Kept between runs: what was downloaded. */
const CACHE = join(tmpdir(), "slipway-interop");
const REPOSITORY = "https://github.com/apocas/dockerode";

export interface SuiteResult {
  readonly passed: readonly string[];
  /** The title, and why. */
  readonly failed: ReadonlyMap<string, string>;
}

/** Dockerode's own repository with its dependencies: the npm package has no tests. Throws `unavailable` with the way to get it. */
export async function dockerodeCheckout(): Promise<string> {
  const checkout = join(CACHE, "dockerode");
  if (!existsSync(join(checkout, "test"))) {
    mkdirSync(CACHE, { recursive: true });
    const given = process.env.DOCKERODE_CHECKOUT;
    if (given !== undefined) cpSync(given, checkout, { recursive: true });
    else {
      const cloned = await run(["git", "clone", "-q", "--depth", "1", REPOSITORY, checkout]);
      if (cloned.code !== 0) {
        throw new SlipwayError("unavailable", `dockerode's tests cannot be fetched: ${cloned.stderr.trim()}`, {
          hint: `Run 'git clone ${REPOSITORY} DIRECTORY' where GitHub is reachable, then the test with DOCKERODE_CHECKOUT=DIRECTORY.`,
        });
      }
    }
  }
  if (!existsSync(join(checkout, "node_modules/mocha"))) {
    const installed = await run(["npm", "install", "--no-audit", "--no-fund"], { cwd: checkout });
    if (installed.code !== 0) throw new SlipwayError("unavailable", `npm install: ${installed.stderr.trim()}`);
  }
  return checkout;
}

/** A tar of a small Debian: the suite wants an image with bash and ps that is called ubuntu. */
export async function debianTar(): Promise<string> {
  const path = join(CACHE, "debian.tar");
  if (existsSync(path)) return path;
  mkdirSync(CACHE, { recursive: true });
  const root = join(CACHE, "debian");
  const script = [
    "command -v debootstrap >/dev/null || apt-get install -y -q debootstrap >/dev/null",
    `rm -rf '${root}'`,
    `debootstrap --variant=minbase --include=procps bookworm '${root}' >/dev/null`,
    `tar -C '${root}' -cf '${path}.part' . && mv '${path}.part' '${path}' && rm -rf '${root}'`,
  ];
  const made = await run(["sh", "-ec", script.join("\n")]);
  if (made.code !== 0) throw new SlipwayError("unavailable", `debootstrap: ${made.stderr.trim()}`);
  return path;
}

interface MochaReport {
  readonly passes: readonly { readonly fullTitle: string }[];
  readonly failures: readonly { readonly fullTitle: string; readonly err: { readonly message?: string } }[];
}

/** Runs the suite against a socket, its report in `directory`. */
export async function runDockerode(checkout: string, socket: string, directory: string): Promise<SuiteResult> {
  const report = join(directory, "dockerode.json");
  const mocha = ["node_modules/.bin/mocha", "--exit", "--timeout", "30000"];
  const output = await run([...mocha, "--reporter", "json", "--reporter-option", `output=${report}`], {
    cwd: checkout,
    // Any value of DOCKER_SOCKET makes the suite look at DOCKER_HOST.
    env: { DOCKER_SOCKET: "by-host", DOCKER_HOST: `unix://${socket}` },
  });
  if (!existsSync(report)) throw new Error(`mocha ended with ${output.code}:\n${output.stderr.slice(-2000)}`);
  const { passes, failures } = JSON.parse(readFileSync(report, "utf8")) as MochaReport;
  return {
    passed: passes.map(({ fullTitle }) => fullTitle.trim()),
    failed: new Map(failures.map(({ fullTitle, err }) => [fullTitle.trim(), err.message ?? ""])),
  };
}
