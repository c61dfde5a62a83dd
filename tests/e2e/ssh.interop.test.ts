import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BASE, Engine, run, SLIPWAY } from "./harness.ts";

/** A machine that is reached by ssh: this one, through an sshd of the test's own on loopback. */
let root: string;
let engine: Engine;
let sshd: Bun.Subprocess;
let port: number;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "slipway-ssh-test-"));
  engine = await Engine.start();
  port = await freePort();
  for (const name of ["host", "user"]) {
    const made = await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", join(root, name)]);
    if (made.code !== 0) throw new Error(made.stderr);
  }
  // What the other machine has installed: ours under both of its names.
  mkdirSync(join(root, "bin"));
  for (const name of ["slipway", "docker"]) symlinkSync(SLIPWAY, join(root, "bin", name));
  mkdirSync("/run/sshd", { recursive: true });
  const lines = [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${root}/host`,
    `AuthorizedKeysFile ${root}/user.pub`,
    ...["StrictModes no", "UsePAM no", "PidFile none", "PermitRootLogin yes"],
    `SetEnv PATH=${root}/bin:/usr/bin:/bin DOCKER_HOST=unix://${engine.socket}`,
  ];
  writeFileSync(join(root, "sshd_config"), `${lines.join("\n")}\n`);
  sshd = Bun.spawn(["/usr/sbin/sshd", "-D", "-e", "-f", join(root, "sshd_config")], { stderr: "ignore" });
  // The user's ssh, with settings that others keep in ~/.ssh/config.
  mkdirSync(join(root, "local"));
  const options = [
    `-i ${root}/user -o IdentitiesOnly=yes`,
    `-o UserKnownHostsFile=${root}/known -o StrictHostKeyChecking=accept-new -o BatchMode=yes`,
  ];
  writeFileSync(join(root, "local/ssh"), `#!/bin/sh\nexec /usr/bin/ssh ${options.join(" ")} "$@"\n`);
  chmodSync(join(root, "local/ssh"), 0o755);
}, 60_000);

afterAll(async () => {
  sshd?.kill();
  await sshd?.exited;
  await engine?.[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

const env = (host: string) => ({ DOCKER_HOST: host, PATH: `${root}/local:${process.env.PATH ?? ""}` });
const host = () => `ssh://root@127.0.0.1:${port}`;
const slipway = (argv: readonly string[], stdin?: string) =>
  run([SLIPWAY, ...argv], { env: env(host()), ...(stdin === undefined ? {} : { stdin }) });

test("commands, input, output and exit codes pass through ssh", async () => {
  expect(await slipway(["run", "--rm", "-i", BASE, "sh", "-c", "cat; echo err >&2; exit 7"], "in\n")).toEqual({
    code: 7,
    stdout: "in\n",
    stderr: "err\n",
  });
  expect((await slipway(["images", "-q"])).stdout).toMatch(/^[0-9a-f]{12}\n$/);
}, 30_000);

test("a build sends its files through ssh, since the engine there does not see them", async () => {
  const context = engine.context({ Dockerfile: `FROM ${BASE}\nCOPY hello /\nRUN cat /hello\n`, hello: "from afar\n" });
  const built = await slipway(["build", "-q", context]);
  expect(built).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/) });
}, 30_000);

test("a socket may be named behind the host, and a context may name it all", async () => {
  const named = `${host()}${engine.socket}`;
  expect((await run([SLIPWAY, "version", "-f", "{{.Server.Os}}"], { env: env(named) })).stdout).toBe("linux\n");
  const config = { ...env(""), DOCKER_CONFIG: join(root, "config") };
  expect((await run([SLIPWAY, "context", "create", "far", "--docker", `host=${host()}`], { env: config })).code).toBe(
    0,
  );
  const asked = await run([SLIPWAY, "--context", "far", "info", "-f", "{{.OSType}}"], { env: config });
  expect(asked).toMatchObject({ code: 0, stdout: "linux\n" });
}, 30_000);

test("Docker's own client finds our program at the far end", async () => {
  const output = await run(["docker", "run", "--rm", BASE, "echo", "hi"], { env: env(host()) });
  expect(output).toMatchObject({ code: 0, stdout: "hi\n" });
}, 30_000);

test("what ssh says is told", async () => {
  const refused = await run([SLIPWAY, "ps"], { env: env("ssh://root@127.0.0.1:1") });
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused.stderr).toContain("ssh://root@127.0.0.1:1");
  expect(refused.stderr).toContain("Connection refused");
  const nonsense = await run([SLIPWAY, "ps"], { env: env("ssh://root:secret@host") });
  expect(nonsense.stderr).toContain("plain-text password is not supported");
});
