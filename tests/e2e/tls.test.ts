import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BASE, Engine, run, SLIPWAY } from "./harness.ts";

let root: string;
let engine: Engine;
let port: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "slipway-tls-"));
  await authority("ca");
  await authority("stranger");
  await certificate("server", "ca");
  await certificate("client", "ca");
  await certificate("intruder", "stranger");
  const files = [
    "--tlscacert",
    `${root}/ca.pem`,
    "--tlscert",
    `${root}/server.pem`,
    "--tlskey",
    `${root}/server-key.pem`,
  ];
  engine = await Engine.start(["-H", "tcp://127.0.0.1:0", "--tlsverify", ...files]);
  port = /tcp:\/\/127\.0\.0\.1:(\d+)/.exec(engine.log())?.[1] ?? "";
}, 60_000);

afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

async function openssl(...argv: string[]): Promise<void> {
  const made = await run(["openssl", ...argv], { cwd: root });
  if (made.code !== 0) throw new Error(made.stderr);
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

async function authority(name: string): Promise<void> {
  const out = ["-keyout", `${name}-key.pem`, "-out", `${name}.pem`];
  await openssl("req", "-x509", ...NEW_KEY, ...out, "-subj", `/CN=${name}`, "-days", "2");
}

async function certificate(name: string, by: string): Promise<void> {
  writeFileSync(join(root, "names"), "subjectAltName=IP:127.0.0.1\n");
  await openssl("req", ...NEW_KEY, "-keyout", `${name}-key.pem`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
  const signer = ["-CA", `${by}.pem`, "-CAkey", `${by}-key.pem`, "-CAcreateserial"];
  await openssl(
    "x509",
    "-req",
    "-in",
    `${name}.csr`,
    ...signer,
    "-out",
    `${name}.pem`,
    "-days",
    "2",
    "-extfile",
    "names",
  );
}

/** A folder as DOCKER_CERT_PATH wants it. */
function folder(client: string | undefined): string {
  const path = mkdtempSync(join(root, "certs-"));
  cpSync(`${root}/ca.pem`, `${path}/ca.pem`);
  if (client === undefined) return path;
  cpSync(`${root}/${client}.pem`, `${path}/cert.pem`);
  cpSync(`${root}/${client}-key.pem`, `${path}/key.pem`);
  return path;
}

const env = (client: string | undefined) => ({
  DOCKER_HOST: `tcp://127.0.0.1:${port}`,
  DOCKER_TLS_VERIFY: "1",
  DOCKER_CERT_PATH: folder(client),
});

test("a client with a certificate of the authority is served, streams and half-closed input included", async () => {
  const argv = [SLIPWAY, "run", "--rm", "-i", BASE, "sh", "-c", "cat; exit 3"];
  expect(await run(argv, { env: env("client"), stdin: "over tls\n" })).toMatchObject({ code: 3, stdout: "over tls\n" });
}, 30_000);

test("a client of another authority, or with no certificate, learns nothing", async () => {
  for (const client of ["intruder", undefined]) {
    const output = await run([SLIPWAY, "ps"], { env: env(client) });
    expect(output).toMatchObject({ code: 1, stdout: "" });
    expect(output.stderr).toMatch(/tcp:\/\/127\.0\.0\.1/);
  }
  const plain = await run([SLIPWAY, "ps"], { env: { DOCKER_HOST: `tcp://127.0.0.1:${port}`, DOCKER_TLS_VERIFY: "" } });
  expect(plain).toMatchObject({ code: 1, stdout: "" });
});

test("an engine that does not prove who it is is refused", async () => {
  const path = folder("client");
  cpSync(`${root}/stranger.pem`, `${path}/ca.pem`);
  const output = await run([SLIPWAY, "ps"], { env: { ...env("client"), DOCKER_CERT_PATH: path } });
  expect(output).toMatchObject({ code: 1, stdout: "" });
});

test("a context keeps the certificates", async () => {
  const certs = folder("client");
  const config = { DOCKER_HOST: "", DOCKER_CONFIG: join(root, "config") };
  mkdirSync(config.DOCKER_CONFIG, { recursive: true });
  const files = `ca=${certs}/ca.pem,cert=${certs}/cert.pem,key=${certs}/key.pem`;
  const made = await run([SLIPWAY, "context", "create", "safe", "--docker", `host=tcp://127.0.0.1:${port},${files}`], {
    env: config,
  });
  expect(made.code).toBe(0);
  rmSync(certs, { recursive: true });
  const asked = await run([SLIPWAY, "--context", "safe", "version", "-f", "{{.Server.Os}}"], { env: config });
  expect(asked).toEqual({ code: 0, stdout: "linux\n", stderr: "" });
});
