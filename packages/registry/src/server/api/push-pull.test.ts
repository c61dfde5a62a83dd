import { expect, test } from "bun:test";
import { imageManifest, sha256, TestRegistry } from "../testing/registry-fixture.ts";

test("an image that was pushed is pulled byte for byte, by tag and by digest", async () => {
  await using registry = await TestRegistry.start();
  const digest = await registry.pushImage("team/app", "v1", "layer bytes");
  const byTag = await registry.fetch("/v2/team/app/manifests/v1");
  expect(byTag.headers.get("docker-content-digest")).toBe(digest);
  const text = await byTag.text();
  expect(sha256(text)).toBe(digest);
  expect(await (await registry.fetch(`/v2/team/app/manifests/${digest}`)).text()).toBe(text);
  const { layers } = JSON.parse(text) as { layers: { digest: string }[] };
  expect(await (await registry.fetch(`/v2/team/app/blobs/${layers[0]?.digest}`)).text()).toBe("layer bytes");
});

test("a manifest is refused while a blob that it names is not in the repository, and leaves nothing", async () => {
  await using registry = await TestRegistry.start();
  const bytes = imageManifest({ digest: sha256("absent"), size: 6 }, []);
  const response = await registry.putManifest("app", "v1", bytes);
  expect(response.status).toBe(404);
  expect(await response.json()).toMatchObject({ errors: [{ code: "MANIFEST_BLOB_UNKNOWN" }] });
  expect((await registry.fetch("/v2/app/manifests/v1")).status).toBe(404);
  expect((await registry.fetch("/v2/app/tags/list")).status).toBe(404);
});

test("bytes with another digest are refused in every form of upload", async () => {
  await using registry = await TestRegistry.start();
  const wrong = sha256("something else");
  const post = await registry.fetch(`/v2/app/blobs/uploads/?digest=${wrong}`, { method: "POST", body: "bytes" });
  expect([post.status, await post.json()]).toMatchObject([400, { errors: [{ code: "DIGEST_INVALID" }] }]);
  const begun = await registry.fetch("/v2/app/blobs/uploads/", { method: "POST" });
  const put = await registry.fetch(`${begun.headers.get("location")}?digest=${wrong}`, {
    method: "PUT",
    body: "bytes",
  });
  expect(put.status).toBe(400);
  expect((await registry.fetch(`/v2/app/blobs/${wrong}`)).status).toBe(404);
});

test("an upload in chunks tells how far it is, refuses a chunk out of order, and goes on", async () => {
  await using registry = await TestRegistry.start();
  const begun = await registry.fetch("/v2/app/blobs/uploads/", { method: "POST" });
  const location = begun.headers.get("location") ?? "";
  const patch = (body: string, range: string) =>
    registry.fetch(location, { method: "PATCH", body, headers: { "Content-Range": range } });
  expect((await patch("01234", "0-4")).status).toBe(202);
  const refused = await patch("789", "7-9");
  expect([refused.status, refused.headers.get("range")]).toEqual([416, "0-4"]);
  const status = await registry.fetch(location);
  expect([status.status, status.headers.get("range")]).toEqual([204, "0-4"]);
  expect((await patch("56789", "5-9")).status).toBe(202);
  const put = await registry.fetch(`${location}?digest=${sha256("0123456789")}`, { method: "PUT" });
  expect(put.status).toBe(201);
  const range = await registry.fetch(put.headers.get("location") ?? "", { headers: { Range: "bytes=3-6" } });
  expect([range.status, await range.text(), range.headers.get("content-range")]).toEqual([206, "3456", "bytes 3-6/10"]);
});

test("an upload belongs to its repository", async () => {
  await using registry = await TestRegistry.start();
  const begun = await registry.fetch("/v2/app/blobs/uploads/", { method: "POST" });
  const elsewhere = (begun.headers.get("location") ?? "").replace("/v2/app/", "/v2/other/");
  expect((await registry.fetch(elsewhere)).status).toBe(404);
});

test("tags are listed in the order of their bytes, a page at a time", async () => {
  await using registry = await TestRegistry.start();
  for (const tag of ["b", "A", "a", "B", "_z", "9"]) await registry.pushImage("app", tag, "same");
  const first = await registry.fetch("/v2/app/tags/list?n=4");
  expect(await first.json()).toEqual({ name: "app", tags: ["9", "A", "B", "_z"] });
  const next = /<([^>]+)>; rel="next"/.exec(first.headers.get("link") ?? "")?.[1] ?? "";
  const second = await registry.fetch(next);
  expect(await second.json()).toEqual({ name: "app", tags: ["a", "b"] });
  expect(second.headers.get("link")).toBeNull();
});

test("a deleted manifest takes its tags with it at once; a tag that was moved stays", async () => {
  await using registry = await TestRegistry.start();
  const first = await registry.pushImage("app", "moved", "one");
  await registry.pushImage("app", "old", "one");
  const second = await registry.pushImage("app", "moved", "two");
  expect((await registry.fetch(`/v2/app/manifests/${first}`, { method: "DELETE" })).status).toBe(202);
  expect(await (await registry.fetch("/v2/app/tags/list")).json()).toEqual({ name: "app", tags: ["moved"] });
  expect((await registry.fetch("/v2/app/manifests/moved")).headers.get("docker-content-digest")).toBe(second);
});
