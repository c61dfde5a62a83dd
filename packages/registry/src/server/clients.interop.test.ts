import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MEDIA_TYPES } from "@slipway/oci";
import { baseImageArchive, S3_ENVIRONMENT, S3Server } from "@slipway/testkit";
import { parseGrant, Users } from "./auth/users.ts";
import { openRegistryStorage } from "./storage/open.ts";
import { TestRegistry } from "./testing/registry-fixture.ts";

let folder: string;
let archive: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "slipway-clients-"));
  archive = join(folder, "base.tar");
  writeFileSync(archive, baseImageArchive("registry.test/base:1"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function ok(argv: string[], env: Record<string, string> = {}): Promise<string> {
  const child = Bun.spawn(argv, { env: { ...process.env, ...env }, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status !== 0) throw new Error(`${argv.join(" ")}: ${stderr}`);
  return stdout.trim();
}

const hostOf = (registry: TestRegistry) => new URL(registry.url).host;
const copy = (from: string, to: string, ...more: string[]) =>
  ok(["skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false", ...more, from, to]);
const digestOf = (reference: string) =>
  ok(["skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", `docker://${reference}`]);

/** An index of two platforms with the same image behind both, and one referrer of it. */
async function pushIndex(registry: TestRegistry): Promise<string> {
  const host = hostOf(registry);
  await copy(`docker-archive:${archive}`, `docker://${host}/team/multi:amd64`, "--format", "oci");
  const manifest = await registry.fetch("/v2/team/multi/manifests/amd64");
  const digest = manifest.headers.get("docker-content-digest") ?? "";
  const size = (await manifest.arrayBuffer()).byteLength;
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociIndex,
    manifests: ["amd64", "arm64"].map((architecture) => ({
      mediaType: MEDIA_TYPES.ociManifest,
      digest,
      size,
      platform: { os: "linux", architecture },
    })),
  });
  const headers = { "Content-Type": MEDIA_TYPES.ociIndex };
  const put = await registry.fetch("/v2/team/multi/manifests/all", { method: "PUT", body: index, headers });
  expect(put.status).toBe(201);
  return put.headers.get("docker-content-digest") ?? "";
}

test("skopeo moves images and whole indexes between registries on files and in a bucket, digests kept", async () => {
  await using bucket = await S3Server.start();
  Object.assign(process.env, S3_ENVIRONMENT);
  await using files = await TestRegistry.start();
  await using replica = await TestRegistry.start({ storage: await openRegistryStorage(bucket.place("clients")) });
  const digest = await pushIndex(files);
  await copy(`docker://${hostOf(files)}/team/multi:all`, `docker://${hostOf(replica)}/team/copy:all`, "--all");
  expect(await digestOf(`${hostOf(replica)}/team/copy:all`)).toBe(digest);
  const layout = `oci:${join(folder, "layout")}:all`;
  await copy(`docker://${hostOf(replica)}/team/copy:all`, layout, "--all");
  await copy(layout, `docker://${hostOf(files)}/team/again:all`, "--all");
  expect(await digestOf(`${hostOf(files)}/team/again:all`)).toBe(digest);
  await ok(["skopeo", "delete", "--tls-verify=false", `docker://${hostOf(files)}/team/again:all`]);
  expect((await files.fetch("/v2/team/again/manifests/all")).status).toBe(404);
}, 120_000);

test("podman and buildah push and pull", async () => {
  await using registry = await TestRegistry.start();
  const host = hostOf(registry);
  const storage = [
    "--root",
    join(folder, "podman"),
    "--runroot",
    join(folder, "podman-run"),
    "--storage-driver",
    "vfs",
  ];
  await copy(`docker-archive:${archive}`, `docker://${host}/team/app:1`);
  await ok(["podman", ...storage, "pull", "--quiet", "--tls-verify=false", `${host}/team/app:1`]);
  await ok(["podman", ...storage, "tag", `${host}/team/app:1`, `${host}/team/app:podman`]);
  await ok(["podman", ...storage, "push", "--quiet", "--tls-verify=false", `${host}/team/app:podman`]);
  await ok(["podman", ...storage, "rmi", "--all", "--force"]);
  await ok(["buildah", ...storage, "pull", "--quiet", "--tls-verify=false", `${host}/team/app:podman`]);
  await ok([
    "buildah",
    ...storage,
    "push",
    "--quiet",
    "--tls-verify=false",
    `${host}/team/app:podman`,
    `docker://${host}/team/app:buildah`,
  ]);
  expect((await registry.fetch("/v2/team/app/manifests/buildah")).status).toBe(200);
}, 120_000);

test("login, push and pull over TLS with a token; who may only pull cannot push", async () => {
  const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=registry -addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout ${folder}/key -out ${folder}/ca.crt`;
  expect(spawnSync("openssl", args.split(" ")).status).toBe(0);
  const tls = { cert: readFileSync(join(folder, "ca.crt"), "utf8"), key: readFileSync(join(folder, "key"), "utf8") };
  await using registry = await TestRegistry.start({ auth: { kind: "token" } }, { tls });
  const users = new Users(registry.storage.records);
  for (const [name, grant] of [
    ["writer", "team/*:pull,push"],
    ["reader", "team/*:pull"],
  ] as const) {
    const hash = await Bun.password.hash(name, { algorithm: "bcrypt", cost: 4 });
    await users.put({ name, robot: false, hash, grants: [parseGrant(grant)] });
  }
  const host = `localhost:${registry.server.port}`;
  const image = `docker://${host}/team/app:1`;
  const certificates = join(folder, "certificates");
  mkdirSync(certificates);
  writeFileSync(join(certificates, "ca.crt"), tls.cert);
  const push = (user: string) =>
    ok([
      "skopeo",
      "copy",
      "--quiet",
      "--dest-cert-dir",
      certificates,
      "--dest-creds",
      user,
      `docker-archive:${archive}`,
      image,
    ]);
  await push("writer:writer");
  await expect(push("writer:wrong")).rejects.toThrow();
  await expect(push("reader:reader")).rejects.toThrow();
  const inspect = [
    "skopeo",
    "inspect",
    "--cert-dir",
    certificates,
    "--creds",
    "reader:reader",
    "--format",
    "{{.Digest}}",
    image,
  ];
  expect(await ok(inspect)).toStartWith("sha256:");
  const authFile = join(folder, "auth.json");
  await ok([
    "skopeo",
    "login",
    "--cert-dir",
    certificates,
    "--authfile",
    authFile,
    "-u",
    "reader",
    "-p",
    "reader",
    host,
  ]);
}, 60_000);

test("Debian's Docker pushes and pulls, and mounts what the registry has", async () => {
  await using registry = await TestRegistry.start();
  const root = mkdtempSync(join(tmpdir(), "slipway-registry-docker-"));
  const socket = `unix://${root}/s.sock`;
  const log = Bun.file(join(root, "log"));
  const daemon = Bun.spawn(
    [
      "/usr/sbin/dockerd",
      "-H",
      socket,
      "--data-root",
      `${root}/data`,
      "--exec-root",
      `${root}/exec`,
      "--pidfile",
      `${root}/pid`,
      "--iptables=false",
      "--bridge=none",
      "--storage-driver=vfs",
    ],
    { stdout: log, stderr: log },
  );
  const docker = (client: string, ...argv: string[]) => ok([client, ...argv], { DOCKER_HOST: socket });
  try {
    while ((await docker("/usr/bin/docker", "version").catch(() => "")) === "") {
      if (daemon.exitCode !== null) throw new Error(await log.text());
      await Bun.sleep(50);
    }
    const image = `${hostOf(registry)}/team/docker:1`;
    // Debian's client, and the newest one on PATH.
    for (const [at, client] of ["/usr/bin/docker", Bun.which("docker") ?? "/usr/bin/docker"].entries()) {
      await docker(client, "load", "-i", archive);
      await docker(client, "tag", "registry.test/base:1", image);
      await docker(client, "push", image);
      await docker(client, "tag", image, `${hostOf(registry)}/other/docker:${at}`);
      expect(await docker(client, "push", `${hostOf(registry)}/other/docker:${at}`)).toMatch(
        /Mounted from|already exists/,
      );
      const id = await docker(client, "image", "inspect", "--format", "{{.Id}}", image);
      await docker(client, "rmi", "-f", id);
      await docker(client, "pull", image);
      expect(await docker(client, "image", "inspect", "--format", "{{.Id}}", image)).toBe(id);
      await docker(client, "rmi", "-f", id);
    }
    const digest = await pushIndex(registry);
    expect(await docker("/usr/bin/docker", "pull", `${hostOf(registry)}/team/multi:all`)).toContain(digest);
  } finally {
    daemon.kill("SIGTERM");
    await daemon.exited;
    rmSync(root, { recursive: true, force: true });
  }
}, 180_000);
