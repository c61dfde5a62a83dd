import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BASE_IMAGE, baseImageArchive } from "@slipway/testkit";
import type { Store } from "../faces.ts";
import { checkInvariants } from "../invariants.ts";
import { openStore } from "../open-store.ts";

/**
 * Other tools read what we write, and we read what they write. Needs skopeo and umoci:
 *
 *     apt-get install -y skopeo umoci
 */

let root: string;
let store: Store;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "slipway-interop-"));
  store = await openStore({ root: join(root, "data") });
  await store.images.load(streamOf(baseImageArchive()));
});
afterEach(async () => {
  expect(await checkInvariants(store)).toEqual([]);
  await store.close();
  rmSync(root, { recursive: true, force: true });
});

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new Blob([bytes as Uint8Array<ArrayBuffer>]).stream();
}

async function run(...command: string[]): Promise<string> {
  const [tool = ""] = command;
  if (Bun.which(tool) === null) throw new Error(`${tool} is missing: apt-get install -y skopeo umoci`);
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
  return stdout;
}

const skopeo = (...rest: string[]) => run("skopeo", "--insecure-policy", ...rest);

/** An image of two layers that was made here, with everything that a layer can say. */
async function makeImage(): Promise<void> {
  const lease = store.leases.open("interop");
  const base = store.images.resolve(BASE_IMAGE);
  const parent = base.layers.at(-1);
  const metadata = { uid: 1000, gid: 1000, mtime: 1_700_000_000_123_456_789n };
  const file = (path: string, mode: number, text: string) =>
    ({ kind: "file", path, mode, ...metadata, content: { from: "bytes", bytes: Buffer.from(text) } }) as const;
  const layer = await store.layers.fromEntries({
    ...(parent && { parent }),
    entries: [
      { kind: "dir", path: "app", mode: 0o2755, ...metadata },
      { kind: "dir", path: "etc", mode: 0o755, ...metadata, opaque: true },
      file("app/ä", 0o4755, "hello"),
      { kind: "link", path: "app/zz", target: "app/ä", mode: 0o4755, ...metadata },
      { kind: "symlink", path: "app/link", target: "/etc/passwd", mode: 0o777, ...metadata },
      { kind: "whiteout", path: "home" },
      file(`app/${"long".repeat(50)}`, 0o644, "long"),
    ],
    form: "tree",
    lease,
  });
  const config = { ...base.config, diffIds: [...base.config.diffIds, layer.diffId] };
  const [name] = base.names;
  await store.images.put({ config, names: name ? [{ ...name, path: "slipway/made" }] : [], lease });
  lease.release();
}

test("skopeo reads our content directory as an OCI layout", async () => {
  await makeImage();
  const image = store.images.resolve("slipway/made");
  await store.images.materialize(image.id);
  const shown = JSON.parse(await skopeo("inspect", `oci:${store.paths.content}:slipway/made:latest`)) as {
    Digest: string;
    Layers: string[];
  };
  expect(shown.Digest).toBe(image.manifestDigest);
  expect(shown.Layers).toEqual(image.config.diffIds.map(String));
});

test("umoci unpacks an image from our content directory", async () => {
  await makeImage();
  await store.images.materialize(store.images.resolve("slipway/made").id);
  expect(await run("umoci", "ls", "--layout", store.paths.content)).toContain("slipway/made:latest");
  // umoci writes to a layout that it unpacks from; it gets a copy.
  await skopeo("copy", `oci:${store.paths.content}:slipway/made:latest`, `oci:${root}/copy:made`);
  await run("umoci", "unpack", "--image", `${root}/copy:made`, `${root}/bundle`);
  const listed = await run("find", `${root}/bundle/rootfs`, "-printf", "%P %m %U %T@\\n");
  expect(listed).toContain("app/ä 4755 1000 1700000000.1234567890");
  expect(listed).not.toContain("home ");
  expect(listed).not.toContain("etc/passwd");
});

for (const format of ["docker-archive", "oci-archive"] as const) {
  test(`an image that skopeo writes as ${format} loads here with the same layers`, async () => {
    await makeImage();
    const image = store.images.resolve("slipway/made");
    const ours = join(root, "ours.tar");
    await Bun.write(ours, new Response(await store.images.save(["slipway/made"])));
    const theirs = join(root, "theirs.tar");
    await skopeo("copy", `docker-archive:${ours}`, `${format}:${theirs}:docker.io/slipway/copied:latest`);
    mkdirSync(join(root, "second"));
    const second = await openStore({ root: join(root, "second") });
    const [loaded] = await second.images.load(Bun.file(theirs).stream());
    expect(loaded?.image.layers).toEqual([...image.layers]);
    expect(second.images.resolve("slipway/copied").config.diffIds).toEqual(image.config.diffIds);
    await second.layers.lowers(image.layers.at(-1) ?? ("" as never));
    expect(await checkInvariants(second)).toEqual([]);
    await second.close();
  });
}

test("what we save is an OCI archive as well, with the same manifest", async () => {
  await makeImage();
  const image = store.images.resolve("slipway/made");
  for (const format of ["docker", "oci"] as const) {
    const file = join(root, `${format}.tar`);
    await Bun.write(file, new Response(await store.images.save(["slipway/made"], { format })));
    const shown = JSON.parse(await skopeo("inspect", `oci-archive:${file}:slipway/made:latest`)) as { Digest: string };
    expect(shown.Digest).toBe(image.manifestDigest);
  }
});

test("layers compressed with gzip and zstd in an OCI archive load here", async () => {
  await makeImage();
  const image = store.images.resolve("slipway/made");
  const ours = join(root, "ours.tar");
  await Bun.write(ours, new Response(await store.images.save(["slipway/made"])));
  for (const compression of ["gzip", "zstd"]) {
    const theirs = join(root, `${compression}.tar`);
    await skopeo(
      "copy",
      `--dest-compress-format=${compression}`,
      "--dest-compress",
      `oci-archive:${ours}:slipway/made:latest`,
      `dir:${root}/${compression}`,
    );
    await skopeo("copy", `dir:${root}/${compression}`, `oci-archive:${theirs}:docker.io/slipway/${compression}:latest`);
    const second = await openStore({ root: join(root, `store-${compression}`) });
    const [loaded] = await second.images.load(Bun.file(theirs).stream());
    expect(loaded?.image.config.diffIds).toEqual([...image.config.diffIds]);
    await second.layers.lowers(image.layers.at(-1) ?? ("" as never));
    const again = join(root, `again-${compression}.tar`);
    await Bun.write(again, new Response(await second.images.save([`slipway/${compression}`])));
    const shown = JSON.parse(await skopeo("inspect", `oci-archive:${again}:slipway/${compression}:latest`)) as {
      Digest: string;
    };
    expect(shown.Digest).toBe(loaded?.image.manifestDigest ?? "");
    expect(await checkInvariants(second)).toEqual([]);
    await second.close();
  }
});
