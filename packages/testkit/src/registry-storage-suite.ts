import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import type { RegistryStorage } from "@slipway/registry";

/** What a storage of the registry must do, whatever it is made of. `open` may be called several times. */
export function registryStorageSuite(name: string, open: () => Promise<RegistryStorage>): void {
  describe(`${name} as a registry's storage`, () => {
    let storage: RegistryStorage;
    beforeAll(async () => {
      storage = await open();
    });
    afterAll(async () => await storage.close());
    recordTests(() => storage);
    contentTests(() => storage);
  });
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined) => value && new TextDecoder().decode(value);
const body = (content: string) => new Blob([content]).stream();

function recordTests(storage: () => RegistryStorage): void {
  test("a record has the value that was written last, until it is removed", async () => {
    const { records } = storage();
    expect(await records.get("a/one")).toBeUndefined();
    await records.commit({ steps: [[{ put: "a/one", value: bytes("1") }], [{ put: "a/one", value: bytes("2") }]] });
    expect(text(await records.get("a/one"))).toBe("2");
    await records.commit({ steps: [[{ remove: "a/one", ifValue: bytes("1") }]] });
    expect(text(await records.get("a/one"))).toBe("2");
    await records.commit({ steps: [[{ remove: "a/one", ifValue: bytes("2") }, { remove: "a/never" }]] });
    expect(await records.get("a/one")).toBeUndefined();
  });

  test("keys are listed in the order of their bytes, a page at a time, below their prefix alone", async () => {
    const { records } = storage();
    const names = ["b", "A", "a-b", "a.b", "a", "_", "9", "a0", "B"];
    const puts = names.map((key) => ({ put: `list/${key}`, value: bytes(key) }));
    await records.commit({ steps: [[...puts, { put: "listing/x", value: bytes("") }]] });
    const sorted = names.toSorted((a, b) => (a < b ? -1 : 1)).map((key) => `list/${key}`);
    expect([...(await records.list("list/"))]).toEqual(sorted);
    expect([...(await records.list("list/", { limit: 2, after: "list/B" }))]).toEqual(["list/_", "list/a"]);
    expect([...(await records.list("list/", { after: "list/b" }))]).toEqual([]);
  });

  test("a change whose requirement is missing leaves nothing behind", async () => {
    const { records } = storage();
    const change = {
      claims: [{ put: "need/claim", value: bytes("") }],
      require: ["need/there", "need/missing"],
      steps: [[{ put: "need/done", value: bytes("") }]],
    };
    await records.commit({ steps: [[{ put: "need/there", value: bytes("") }]] });
    expect([...(await records.commit(change))]).toEqual(["need/missing"]);
    expect([...(await records.list("need/"))]).toEqual(["need/there"]);
    await records.commit({ steps: [[{ put: "need/missing", value: bytes("") }]] });
    expect([...(await records.commit(change))]).toEqual([]);
    expect((await records.list("need/")).length).toBe(4);
  });

  test("a record that is claimed is not removed", async () => {
    const { records } = storage();
    const put = (key: string) => ({ put: key, value: bytes("value") });
    await records.commit({ steps: [[put("held"), put("free"), put("claims/held/me")]] });
    expect(await records.removeUnless("held", "claims/held/")).toBe(false);
    expect(await records.removeUnless("free", "claims/free/")).toBe(true);
    expect([text(await records.get("held")), await records.get("free")]).toEqual(["value", undefined]);
    await records.settle();
    await records.ping();
  });

  test("who claims and who removes at once never both go on", async () => {
    const { records } = storage();
    for (let round = 0; round < 20; round++) {
      const key = `race/${round}`;
      await records.commit({ steps: [[{ put: key, value: bytes("") }]] });
      const claim = { claims: [{ put: `claim/${round}/me`, value: bytes("") }], require: [key] };
      const [missing, removed] = await Promise.all([
        records.commit(claim),
        records.removeUnless(key, `claim/${round}/`),
      ]);
      if (missing.length === 0) expect([removed, (await records.get(key)) !== undefined]).toEqual([false, true]);
    }
  });
}

function contentTests(storage: () => RegistryStorage): void {
  const sha256 = (content: string) => createHash("sha256").update(content).digest("hex");
  const append = (id: string, content: string, offset?: number) =>
    storage().contents.append(id, body(content), { algorithm: "sha256", ...(offset !== undefined && { offset }) });
  const newId = () => crypto.randomUUID();

  test("an upload grows by what is appended, and refuses what is out of order", async () => {
    const { contents } = storage();
    const id = newId();
    expect(await contents.status(id)).toBeUndefined();
    await contents.begin(id);
    expect(await append(id, "hello ", 0)).toEqual({ id, offset: 6 });
    await expect(append(id, "x", 3)).rejects.toMatchObject({ code: "conflict" });
    expect(await append(id, "world")).toEqual({ id, offset: 11 });
    const measured = await contents.measure(id, "sha256");
    expect([measured.size, measured.hash]).toEqual([11, sha256("hello world")]);
    const place = await contents.finish(measured, `sha256-${measured.hash}`);
    expect([await contents.has(place), await contents.status(id)]).toEqual([true, undefined]);
    expect(await new Response(contents.read(place, 0, 11)).text()).toBe("hello world");
    expect(await new Response(contents.read(place, 4, 8)).text()).toBe("o wo");
    await contents.remove(place);
    expect(await contents.has(place)).toBe(false);
  });

  test("the digest is right whichever algorithm is asked for in the end, and after an interruption", async () => {
    const { contents } = storage();
    const id = newId();
    await contents.begin(id);
    await append(id, "first ");
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(new Error("the connection broke off"));
      },
    });
    await expect(contents.append(id, broken, { algorithm: "sha256" })).rejects.toThrow("broke off");
    await append(id, "second");
    expect((await contents.measure(id, "sha256")).hash).toBe(sha256("first second"));
    const sha512 = createHash("sha512").update("first second").digest("hex");
    expect((await contents.measure(id, "sha512")).hash).toBe(sha512);
    await contents.cancel(id);
    await contents.cancel(id);
    await expect(contents.measure(id, "sha256")).rejects.toMatchObject({ code: "not-found" });
  });

  test("bytes over the limit, or other than announced, are refused", async () => {
    const { contents } = storage();
    const id = newId();
    await contents.begin(id);
    const options = { algorithm: "sha256" } as const;
    await expect(contents.append(id, body("12345"), { ...options, limit: 4 })).rejects.toMatchObject({
      code: "exhausted",
    });
    await expect(contents.append(id, body("12345"), { ...options, length: 4 })).rejects.toMatchObject({
      code: "invalid",
    });
    await expect(contents.append(id, body("123"), { ...options, length: 4 })).rejects.toMatchObject({
      code: "invalid",
    });
    await contents.cancel(id);
  });

  test("a blob of many megabytes is stored and read in ranges", async () => {
    const { contents } = storage();
    const id = newId();
    await contents.begin(id);
    const large = Buffer.alloc(20 * 1024 * 1024, "0123456789abcdef!");
    await contents.append(id, new Blob([large]).stream(), { algorithm: "sha256" });
    const measured = await contents.measure(id, "sha256");
    expect(measured.hash).toBe(createHash("sha256").update(large).digest("hex"));
    const place = await contents.finish(measured, `sha256-${measured.hash}`);
    for (const [start, end] of [
      [0, large.length],
      [8 * 1024 * 1024 - 3, 8 * 1024 * 1024 + 3],
      [large.length - 1, large.length],
    ] as const) {
      const read = Buffer.from(await new Response(contents.read(place, start, end)).arrayBuffer());
      expect(Buffer.compare(read, large.subarray(start, end))).toBe(0);
    }
    await contents.remove(place);
  });

  test("uploads that nobody goes on with, and bytes that no record names, are found", async () => {
    const { contents } = storage();
    const [idle, done] = [newId(), newId()];
    await contents.begin(idle);
    await contents.begin(done);
    await append(done, "left behind");
    const place = await contents.finish(await contents.measure(done, "sha256"), `sha256-${"0".repeat(64)}`);
    const all = async (names: AsyncIterable<string>) => {
      const found: string[] = [];
      for await (const name of names) found.push(name);
      return found;
    };
    const future = Date.now() + 60_000;
    expect(await all(contents.idleUploads(future))).toContain(idle);
    expect(await all(contents.idleUploads(0))).toEqual([]);
    expect(await all(contents.strays(new Set(), future))).toContain(place.at);
    expect(await all(contents.strays(new Set([place.at]), future))).not.toContain(place.at);
    expect(await all(contents.strays(new Set(), 0))).toEqual([]);
    await contents.cancel(idle);
    await contents.remove({ at: place.at });
    expect(await contents.has(place)).toBe(false);
  });
}
