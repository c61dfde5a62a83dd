import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DebianDocker } from "./debian-docker.ts";
import { DockerRegistry, freePort } from "./docker-registry.ts";
import { BASE, Engine, run, SLIPWAY } from "./harness.ts";

const TIMEOUT = 180_000;

let engine: Engine;
let folder: string;
let docker: DebianDocker;
let theirs: DockerRegistry;
let ours: { readonly host: string; stop(): Promise<void> };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "slipway-foreign-"));
  engine = await Engine.start();
  theirs = await DockerRegistry.start();
  ours = await serve();
  docker = await new DebianDocker().ready();
  const dockerfile = `FROM ${BASE}\nRUN mkdir /d && echo made > /d/x && ln /d/x /d/y && chmod 4755 /d/x\nRUN rm /d/y\nCMD ["cat", "/d/x"]\n`;
  await engine.ok("build", "-q", "-t", "made:1", engine.context({ Dockerfile: dockerfile }));
}, TIMEOUT);

afterAll(async () => {
  await docker?.[Symbol.asyncDispose]();
  await ours?.stop();
  await theirs?.[Symbol.asyncDispose]();
  await engine?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
}, TIMEOUT);

/** `slipway registry serve`. */
async function serve() {
  const port = freePort();
  const argv = ["registry", "serve", "--listen", `127.0.0.1:${port}`, "--storage", join(folder, "registry")];
  const child = Bun.spawn([SLIPWAY, ...argv], { stdout: "ignore", stderr: "ignore" });
  const host = `localhost:${port}`;
  for (const deadline = Date.now() + 20_000; ; await Bun.sleep(10)) {
    if ((await fetch(`http://${host}/v2/`).catch(() => undefined))?.ok) break;
    if (Date.now() > deadline) throw new Error("the registry does not answer");
  }
  return {
    host,
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

async function ok(...argv: string[]): Promise<string> {
  const output = await run(argv, { env: { HOME: folder, STORAGE_DRIVER: "vfs", BUILDAH_ISOLATION: "chroot" } });
  if (output.code !== 0) throw new Error(`${argv.join(" ")}: ${output.stdout}${output.stderr}`);
  return output.stdout.trim();
}

const storage = () => ["--root", join(folder, "storage"), "--runroot", join(folder, "run"), "--storage-driver", "vfs"];
const podman = (...argv: string[]) => ok("podman", ...storage(), ...argv);
const buildah = (...argv: string[]) => ok("buildah", ...storage(), ...argv);
const skopeo = (...argv: string[]) => ok("skopeo", "--insecure-policy", ...argv);

const idOf = (name: string) => engine.ok("image", "inspect", "-f", "{{.Id}}", name);
const plain = "--tls-verify=false";

for (const which of ["docker-registry", "slipway registry"]) {
  const name = (path: string) => `${which === "docker-registry" ? theirs.host : ours.host}/${path}`;

  describe(`through ${which}`, () => {
    test(
      "Debian's Docker pulls and runs what we pushed, in gzip and uncompressed, and we what it pushed",
      async () => {
        for (const compression of ["gzip", "uncompressed"]) {
          const pushed = name(`ours/${compression}:v1`);
          await engine.ok("tag", "made:1", pushed);
          await engine.ok("push", "-q", "--compression", compression, pushed);
          await docker.ok("pull", pushed);
          expect(await docker.ok("image", "inspect", "-f", "{{.Id}}", pushed)).toBe(await idOf(pushed));
          expect(await docker.ok("run", "--rm", "--network", "none", pushed)).toBe("made");
        }
        const back = name("theirs/image:v1");
        await docker.ok("create", "--name", "changed", "--network", "none", name("ours/gzip:v1"));
        await docker.ok("commit", "-c", "ENV a=b", "changed", back);
        await docker.ok("rm", "changed");
        await docker.ok("push", back);
        await engine.ok("pull", "-q", back);
        expect(await idOf(back)).toBe(await docker.ok("image", "inspect", "-f", "{{.Id}}", back));
        expect(await engine.ok("run", "--rm", back)).toBe("made");
        const digests = await engine.ok("image", "inspect", "-f", "{{.RepoDigests}}", back);
        expect(digests).toBe(await docker.ok("image", "inspect", "-f", "{{.RepoDigests}}", back));
      },
      TIMEOUT,
    );

    test(
      "podman pulls what we pushed and we what it pushed, byte for byte",
      async () => {
        const pushed = name("podman/ours:v1");
        await engine.ok("tag", "made:1", pushed);
        await engine.ok("push", "-q", pushed);
        expect(`sha256:${await podman("pull", "-q", plain, pushed)}`).toBe(await idOf(pushed));
        const back = name("podman/theirs:v1");
        await podman("tag", pushed, back);
        await podman("push", "-q", plain, back);
        await engine.ok("pull", "-q", back);
        expect(await engine.ok("run", "--rm", back)).toBe("made");
      },
      TIMEOUT,
    );

    test(
      "an index of buildah is pulled by platform; skopeo copies one of ours whole, and we pull the copy",
      async () => {
        const index = name("buildah/index:v1");
        for (const arch of ["amd64", "arm64"]) {
          const container = await buildah("from", "--arch", arch, "scratch");
          await buildah("config", "--label", `of=${arch}`, "--arch", arch, container);
          await buildah("commit", "-q", "--manifest", "list", container, name(`buildah/${arch}:v1`));
          await buildah("rm", container);
        }
        await buildah("manifest", "push", "-q", "--all", plain, "list", `docker://${index}`);
        await buildah("manifest", "rm", "list");
        for (const arch of ["arm64", "amd64"]) {
          await engine.ok("pull", "-q", "--platform", `linux/${arch}`, index);
          expect(await engine.ok("image", "inspect", "-f", "{{.Architecture}} {{.Config.Labels.of}}", index)).toBe(
            `${arch} ${arch}`,
          );
        }
        const copy = name("copied/index:v1");
        await engine.ok("buildx", "imagetools", "create", "-t", copy, index);
        const again = name("again/index:v1");
        await skopeo(
          "copy",
          "--all",
          "--src-tls-verify=false",
          "--dest-tls-verify=false",
          `docker://${copy}`,
          `docker://${again}`,
        );
        await engine.ok("pull", "-q", again);
        const digest = async (image: string) =>
          (await engine.ok("image", "inspect", "-f", "{{index .RepoDigests 0}}", image)).split("@")[1];
        expect(await digest(again)).toBe(await digest(index));
      },
      TIMEOUT,
    );

    test(
      "skopeo reads what we pushed with zstd, and a pull by its digest gives the same image",
      async () => {
        const pushed = name("zstd/image:v1");
        await engine.ok("tag", "made:1", pushed);
        await engine.ok("push", "-q", "--compression", "zstd", pushed);
        const seen = JSON.parse(await skopeo("inspect", plain, `docker://${pushed}`)) as { Digest: string };
        await engine.ok("rmi", pushed);
        await engine.ok("pull", "-q", `${pushed.replace(/:v1$/, "")}@${seen.Digest}`);
        expect(await idOf(`${pushed.replace(/:v1$/, "")}@${seen.Digest}`)).toBe(await idOf("made:1"));
      },
      TIMEOUT,
    );
  });
}

test(
  "what refers to an image that we pushed is listed beside it, and stays when it is pushed again",
  async () => {
    const pushed = `${ours.host}/referred/image:v1`;
    await engine.ok("tag", "made:1", pushed);
    await engine.ok("push", "-q", pushed);
    const subject = (await engine.ok("image", "inspect", "-f", "{{index .RepoDigests 0}}", pushed)).split("@")[1];
    const api = `http://${ours.host}/v2/referred/image`;
    const head = await fetch(`${api}/manifests/${subject}`, {
      headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
    });
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const size = (await head.bytes()).length;
    const empty = {
      mediaType: "application/vnd.oci.empty.v1+json",
      digest: `sha256:${Bun.SHA256.hash("{}", "hex")}`,
      size: 2,
    };
    await fetch(`${api}/blobs/uploads/?digest=${empty.digest}`, { method: "POST", body: "{}" });
    const document = {
      schemaVersion: 2,
      mediaType,
      artifactType: "text/note",
      config: empty,
      layers: [empty],
      subject: { mediaType, digest: subject, size },
    };
    const put = await fetch(`${api}/manifests/note`, {
      method: "PUT",
      body: JSON.stringify(document),
      headers: { "content-type": mediaType },
    });
    expect(put.status).toBe(201);
    const referrers = async () => {
      const answer = await fetch(`${api}/referrers/${subject}`);
      return ((await answer.json()) as { manifests: { artifactType: string }[] }).manifests.map(
        (each) => each.artifactType,
      );
    };
    expect(await referrers()).toEqual(["text/note"]);
    await engine.ok("push", "-q", pushed);
    expect(await referrers()).toEqual(["text/note"]);
    const refused = await engine.slipway(["pull", `${ours.host}/referred/image:note`]);
    expect(refused.stderr).toContain("this is no image: it is an artifact of the type text/note");
  },
  TIMEOUT,
);
