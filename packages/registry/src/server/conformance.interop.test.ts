import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { S3_ENVIRONMENT, S3Server } from "@slipway/testkit";
import { openRegistryStorage } from "./storage/open.ts";
import { TestRegistry } from "./testing/registry-fixture.ts";

const SOURCE = "https://github.com/opencontainers/distribution-spec";

/**
 * The specification's own suite, of its main branch, built once into a folder that stays. `SLIPWAY_CONFORMANCE_SOURCE` names
 * a checkout of it where it cannot be cloned.
 */
function conformanceProgram(): string {
  const folder = join(tmpdir(), "slipway-tools", "distribution-conformance");
  const program = join(folder, "conformance");
  if (existsSync(program)) return program;
  const given = process.env.SLIPWAY_CONFORMANCE_SOURCE;
  const source = given ?? join(folder, "source");
  mkdirSync(folder, { recursive: true });
  if (given === undefined && !existsSync(source))
    run("git", ["clone", "--quiet", "--depth", "1", SOURCE, source], folder);
  run("go", ["build", "-o", program, "."], join(source, "conformance"));
  return program;
}

function run(command: string, args: string[], cwd: string): void {
  const { status, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
}

async function conform(registry: TestRegistry, version: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "slipway-conformance-"));
  try {
    const child = Bun.spawn([conformanceProgram()], {
      cwd: folder,
      env: {
        ...process.env,
        OCI_VERSION: version,
        OCI_REGISTRY: new URL(registry.url).host,
        OCI_TLS: "disabled",
        OCI_RESULTS_DIR: folder,
      },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [output, errors, status] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    expect(
      `${errors.slice(0, 4000)}${output
        .split("\n")
        .filter((line) => /: +FAIL$/.test(line))
        .join("\n")}`,
    ).toBe("");
    expect(status).toBe(0);
    const junit = readFileSync(join(folder, "junit.xml"), "utf8");
    expect(Number(/tests="(\d+)"/.exec(junit)?.[1])).toBeGreaterThan(100);
    expect(/failures="(\d+)"/.exec(junit)?.[1]).toBe("0");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const version of ["stable", "dev"]) {
  test(`the conformance suite (${version}) passes whole on files`, async () => {
    await using registry = await TestRegistry.start();
    await conform(registry, version);
  }, 120_000);

  test(`the conformance suite (${version}) passes whole on a bucket`, async () => {
    await using server = await S3Server.start();
    Object.assign(process.env, S3_ENVIRONMENT);
    await using registry = await TestRegistry.start({
      storage: await openRegistryStorage(server.place("conformance")),
    });
    await conform(registry, version);
  }, 120_000);
}
