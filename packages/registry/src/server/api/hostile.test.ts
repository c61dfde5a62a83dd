import { expect, test } from "bun:test";
import { connect } from "node:net";
import { MEDIA_TYPES } from "@slipway/oci";
import { sha256, TestRegistry } from "../testing/registry-fixture.ts";

/** Sends bytes as they are and returns the status line's number. */
function raw(registry: TestRegistry, text: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(registry.server.port, "127.0.0.1", () => socket.write(text));
    socket.once("data", (data) => {
      socket.destroy();
      resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(data.toString())?.[1]));
    });
    socket.once("error", reject);
  });
}

test("paths that lead elsewhere, and names, tags and digests that are none, are refused", async () => {
  await using registry = await TestRegistry.start();
  const paths = [
    "/v2/../../etc/passwd",
    "/v2/a/../b/manifests/v1",
    "/v2/A/manifests/v1",
    "/v2/a//b/manifests/v1",
    "/v2/a%2f..%2fb/manifests/v1",
    "/v2/a\\b/manifests/v1",
    `/v2/${"a".repeat(300)}/manifests/v1`,
    "/v2/a/manifests/..",
    `/v2/a/manifests/${"t".repeat(200)}`,
    "/v2/a/manifests/sha256:1234",
    "/v2/a/manifests/sha256:%zz",
    `/v2/a/blobs/sha256:../../../${"a".repeat(55)}`,
    `/v2/a/blobs/md5:${"a".repeat(32)}`,
    "/v2/a/blobs/uploads/../../x",
    `/v2/a/referrers/${"f".repeat(64)}`,
    "/v2/a/tags/list?n=-1",
    "/v2/a/tags/list?n=1e99",
    "/v2/!/manifests/v1",
    "/v2/_tags/manifests/v1",
  ];
  for (const path of paths) {
    const status = await raw(registry, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect([path, status >= 400 && status < 500]).toEqual([path, true]);
  }
});

test("manifests of 4 MB are taken, those over the limit are refused with 413, whatever their length says", async () => {
  await using registry = await TestRegistry.start();
  const config = await registry.pushBlob("app", "{}");
  const manifest = (padding: number) =>
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config: { mediaType: MEDIA_TYPES.ociConfig, digest: config, size: 2 },
      layers: [],
      annotations: { padding: "x".repeat(padding) },
    });
  const put = (body: string | ReadableStream) =>
    registry.fetch("/v2/app/manifests/big", {
      method: "PUT",
      body,
      headers: { "Content-Type": MEDIA_TYPES.ociManifest },
    });
  expect((await put(manifest(4 * 1024 * 1024))).status).toBe(201);
  expect((await put(manifest(9 * 1024 * 1024))).status).toBe(413);
  const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) });
  expect([413, "closed"]).toContain(
    await put(endless).then(
      ({ status }) => status,
      () => "closed",
    ),
  );
  expect((await registry.fetch("/v2/")).status).toBe(200);
});

test("documents that are no manifests are refused", async () => {
  await using registry = await TestRegistry.start();
  const config = await registry.pushBlob("app", "{}");
  const image = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    config: { mediaType: "x", digest: config, size: 2 },
    layers: [],
  };
  const bad: unknown[] = [
    null,
    [],
    "text",
    {},
    { ...image, schemaVersion: 1 },
    { ...image, mediaType: "text/html" },
    { ...image, config: null },
    { ...image, layers: "none" },
    { ...image, layers: [{ mediaType: "x", digest: "sha256:../..", size: 1 }] },
    { ...image, layers: [{ mediaType: "x", digest: config, size: -1 }] },
    { ...image, subject: { digest: 1 } },
    { ...image, mediaType: MEDIA_TYPES.ociIndex },
    { ...image, annotations: { a: 1 } },
  ];
  for (const document of bad) {
    const response = await registry.fetch("/v2/app/manifests/v1", { method: "PUT", body: JSON.stringify(document) });
    expect([JSON.stringify(document).slice(0, 80), response.status]).toEqual([
      JSON.stringify(document).slice(0, 80),
      400,
    ]);
  }
  const deep = "[".repeat(200_000);
  expect((await registry.fetch("/v2/app/manifests/v1", { method: "PUT", body: deep })).status).toBe(400);
});

test("uploads that are open at once are bounded, abandoned ones end", async () => {
  await using registry = await TestRegistry.start({ limits: { uploads: 3 } });
  const begin = () => registry.fetch("/v2/app/blobs/uploads/", { method: "POST" });
  const locations = [await begin(), await begin(), await begin()].map(({ headers }) => headers.get("location") ?? "");
  const refused = await begin();
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "10"]);
  expect((await registry.fetch(locations[0] ?? "", { method: "DELETE" })).status).toBe(204);
  expect((await begin()).status).toBe(202);
  // Ended by somebody else: another replica, a collection.
  for await (const id of registry.storage.contents.idleUploads(Date.now() + 1000))
    await registry.storage.contents.cancel(id);
  expect((await begin()).status).toBe(202);
});

test("a client that announces more than it sends leaves an upload to go on with", async () => {
  await using registry = await TestRegistry.start();
  const begun = await registry.fetch("/v2/app/blobs/uploads/", { method: "POST" });
  const location = begun.headers.get("location") ?? "";
  await new Promise<void>((resolve) => {
    const socket = connect(registry.server.port, "127.0.0.1", () => {
      socket.write(`PATCH ${location} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf`);
      setTimeout(() => socket.destroy(), 100);
    });
    socket.once("close", () => resolve());
  });
  for (let attempt = 0; attempt < 100; attempt++) {
    if ((await registry.fetch(location)).headers.get("range") === "0-3") break;
    await Bun.sleep(20);
  }
  const rest = { method: "PATCH", body: " whole", headers: { "Content-Range": "4-9" } };
  expect((await registry.fetch(location, rest)).status).toBe(202);
  const digest = sha256("half whole");
  expect((await registry.fetch(`${location}?digest=${digest}`, { method: "PUT" })).status).toBe(201);
  expect(await (await registry.fetch(`/v2/app/blobs/${digest}`)).text()).toBe("half whole");
});

test("lists of a hundred thousand tags are paged without reading them all", async () => {
  await using registry = await TestRegistry.start();
  const value = Buffer.from(JSON.stringify({ digest: sha256("x"), time: 0 }));
  const tags = Array.from({ length: 100_000 }, (_, at) => ({
    put: `repos/app/tags/t${String(at).padStart(6, "0")}`,
    value,
  }));
  await registry.storage.records.commit({ steps: [tags] });
  const page = (await (await registry.fetch("/v2/app/tags/list?n=5&last=t050000")).json()) as { tags: string[] };
  expect(page.tags).toEqual(["t050001", "t050002", "t050003", "t050004", "t050005"]);
  const first = await registry.fetch("/v2/app/tags/list");
  expect(((await first.json()) as { tags: string[] }).tags.length).toBe(1000);
  expect(first.headers.get("link")).toContain("last=t000999");
});
