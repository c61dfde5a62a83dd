import { expect, test } from "bun:test";
import { type Digest, MEDIA_TYPES } from "@slipway/oci";
import { layout } from "../repository/layout.ts";
import { removeTag, retireManifest } from "../repository/manifests.ts";
import { imageManifest, sha256, TestRegistry } from "../testing/registry-fixture.ts";
import { type Collected, type CollectOptions, collect } from "./collect.ts";
import type { RepositoryPlan } from "./repository-plan.ts";
import { expiredTags, matches } from "./retention.ts";

const HOUR = 3_600_000;
const NOTHING: Collected = { tags: 0, manifests: 0, blobs: 0, bytes: 0, strays: 0, uploads: 0 };

/** A collection two hours from now, with a grace of one. */
const later = (registry: TestRegistry, options: Partial<CollectOptions> = {}) =>
  collect(registry.storage, { grace: HOUR, now: Date.now() + 2 * HOUR, ...options });

const remove = (registry: TestRegistry, reference: string) =>
  registry.fetch(`/v2/app/manifests/${reference}`, { method: "DELETE" });

test("what a manifest refers to stays; what a deleted one referred to goes, shared blobs not", async () => {
  await using registry = await TestRegistry.start();
  const gone = await registry.pushImage("app", "gone", "only in gone");
  await registry.pushImage("app", "stays", "shared");
  await registry.pushImage("other", "stays", "shared");
  expect(await later(registry)).toEqual(NOTHING);
  await remove(registry, gone);
  expect(await later(registry, { plan: true })).toMatchObject({ blobs: 2 });
  expect(await later(registry)).toMatchObject({ blobs: 2 });
  expect((await registry.fetch(`/v2/app/blobs/${sha256("only in gone")}`)).status).toBe(404);
  expect((await registry.fetch(`/v2/app/blobs/${sha256("shared")}`)).status).toBe(200);
  expect(await later(registry)).toEqual(NOTHING);
});

test("a blob that waits for its manifest is kept for the grace time", async () => {
  await using registry = await TestRegistry.start();
  const digest = await registry.pushBlob("app", "waiting");
  expect(await collect(registry.storage, { grace: HOUR })).toEqual(NOTHING);
  expect((await registry.fetch(`/v2/app/blobs/${digest}`)).status).toBe(200);
  expect(await later(registry)).toMatchObject({ blobs: 1, bytes: 7 });
  expect((await registry.fetch(`/v2/app/blobs/${digest}`)).status).toBe(404);
});

test("an upload that becomes a blob while strays are looked for stays, however old its bytes are", async () => {
  await using registry = await TestRegistry.start();
  const { storage } = registry;
  let digest = "";
  const contents = new Proxy(storage.contents, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (name !== "strays") return typeof value === "function" ? value.bind(target) : value;
      return async function* (...given: Parameters<typeof target.strays>) {
        digest = await registry.pushBlob("app", "late");
        yield* target.strays(...given);
      };
    },
  });
  const options = { grace: HOUR, now: Date.now() + 2 * HOUR };
  expect(await collect({ ...storage, contents }, options)).toEqual(NOTHING);
  expect((await registry.fetch(`/v2/app/blobs/${digest}`)).status).toBe(200);
});

test("a blob of one repository stays while another one holds it", async () => {
  await using registry = await TestRegistry.start();
  await registry.pushImage("app", "v1", "shared");
  await registry.pushBlob("draft", "shared");
  expect(await later(registry)).toEqual(NOTHING);
  expect((await registry.fetch(`/v2/draft/blobs/${sha256("shared")}`)).status).toBe(404);
  expect((await registry.fetch(`/v2/app/blobs/${sha256("shared")}`)).status).toBe(200);
});

test("referrers follow their subject, and referrers of those too", async () => {
  await using registry = await TestRegistry.start();
  const subject = await registry.pushImage("app", "v1");
  const refer = async (digest: string) => {
    const config = { digest: await registry.pushBlob("app", "{}"), size: 2 };
    const bytes = imageManifest(config, [], { subject: { digest, size: 1 }, artifactType: "test/signature" });
    expect((await registry.putManifest("app", sha256(bytes), bytes)).headers.get("oci-subject")).toBe(digest);
    return sha256(bytes);
  };
  const signature = await refer(subject);
  const countersignature = await refer(signature);
  expect(await later(registry)).toEqual(NOTHING);
  await remove(registry, subject);
  expect(await later(registry)).toMatchObject({ manifests: 2 });
  for (const digest of [signature, countersignature]) {
    expect((await registry.fetch(`/v2/app/manifests/${digest}`)).status).toBe(404);
  }
});

test("the manifests of an index stay with it, untagged ones go by the rule", async () => {
  await using registry = await TestRegistry.start();
  const child = await registry.pushImage("app", "child");
  const untagged = await registry.pushImage("app", "other");
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociIndex,
    manifests: [{ mediaType: MEDIA_TYPES.ociManifest, digest: child, size: 1 }],
  });
  const headers = { "Content-Type": MEDIA_TYPES.ociIndex };
  await registry.fetch("/v2/app/manifests/all", { method: "PUT", body: index, headers });
  await remove(registry, "child");
  await remove(registry, "other");
  const rules = [{ repositories: "*", keep: [], untaggedOlderThan: HOUR }];
  expect(await later(registry, { rules })).toMatchObject({ manifests: 1 });
  expect((await registry.fetch(`/v2/app/manifests/${untagged}`)).status).toBe(404);
  expect((await registry.fetch(`/v2/app/manifests/${child}`)).status).toBe(200);
});

test("pushes go on during collections, and none of them loses a blob", async () => {
  await using registry = await TestRegistry.start();
  let isDone = false;
  // No grace but a moment: each collection races with the pushes.
  const collecting = (async () => {
    while (!isDone) await collect(registry.storage, { grace: 60 });
  })();
  const digests: string[] = [];
  for (let round = 0; round < 40; round++) {
    const digest = await registry.pushImage("app", `t${round}`, `content ${round % 5}`).catch(() => undefined);
    if (digest !== undefined) digests.push(digest);
    if (round % 3 === 0 && digest !== undefined) await remove(registry, digest);
  }
  isDone = true;
  await collecting;
  const { tags } = (await (await registry.fetch("/v2/app/tags/list")).json()) as { tags: string[] };
  for (const tag of tags) {
    const response = await registry.fetch(`/v2/app/manifests/${tag}`);
    const { layers, config } = (await response.json()) as { layers: { digest: string }[]; config: { digest: string } };
    for (const { digest } of [config, ...layers]) {
      expect((await registry.fetch(`/v2/app/blobs/${digest}`)).status).toBe(200);
    }
  }
});

test("an old tag goes by its rule, with what it alone held; a tag that was set anew stays", async () => {
  await using registry = await TestRegistry.start();
  for (const tag of ["v1", "v2", "v3"]) await registry.pushImage("app", tag, `content of ${tag}`);
  const rules = [{ repositories: "app", keep: ["v1"], keepLast: 1, untaggedOlderThan: HOUR }];
  const plans: string[] = [];
  const onRepository = ({ tags }: RepositoryPlan) => plans.push(...tags.map(({ tag }) => tag));
  expect(await later(registry, { rules, plan: true, onRepository })).toMatchObject({ tags: 1, manifests: 1, blobs: 2 });
  expect(plans).toEqual(["v2"]);
  const stale = { digest: sha256("x") as Digest, time: 0 };
  expect(await removeTag(registry.storage, "app", "v3", stale)).toBe(false);
  expect(await later(registry, { rules })).toMatchObject({ tags: 1, manifests: 1, blobs: 2 });
  const list = await registry.fetch("/v2/app/tags/list");
  expect(await list.json()).toEqual({ name: "app", tags: ["v1", "v3"] });
});

test("a manifest that is pushed again while a collection removes it stays", async () => {
  await using registry = await TestRegistry.start();
  const digest = (await registry.pushImage("app", "v1", "content")) as Digest;
  const bytes = new Uint8Array(await (await registry.fetch("/v2/app/manifests/v1")).arrayBuffer());
  await remove(registry, "v1");
  const hints = await registry.storage.records.list(layout.tagged("app", digest));
  await registry.putManifest("app", digest, bytes);
  expect(await retireManifest(registry.storage, "app", { digest, hints })).toBe(false);
  expect((await registry.fetch(`/v2/app/manifests/${digest}`)).status).toBe(200);
});

test("retention keeps the last tags, those of a pattern, and those that are young", () => {
  const day = 24 * HOUR;
  const digest = sha256("x") as never;
  const tags = ["v1", "v2", "v3", "build-1", "build-2"].map((tag, at) => ({ tag, digest, time: at * day }));
  const names = (rule: object) =>
    expiredTags({ repositories: "*", keep: [], ...rule }, tags, 5 * day).map(({ tag }) => tag);
  expect(names({ keepLast: 2 })).toEqual(["v1", "v2", "v3"]);
  expect(names({ keepLast: 1, keep: ["v*"] })).toEqual(["build-1"]);
  expect(names({ deleteOlderThan: 4 * day })).toEqual(["v1", "v2"]);
  expect(names({ keepLast: 4, deleteOlderThan: day })).toEqual(["v1"]);
  expect(names({})).toEqual([]);
});

test("patterns match with any number of stars, in linear time", () => {
  expect(matches("team/*", "team/a/b")).toBe(true);
  expect(matches("*-rc*", "v1-rc2")).toBe(true);
  expect(matches("a*a", "a")).toBe(false);
  expect(matches("*a".repeat(50), `${"a".repeat(10_000)}b`)).toBe(false);
});
