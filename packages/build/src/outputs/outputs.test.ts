import { afterAll, beforeAll, expect, test } from "bun:test";
import { BASE, Testbed, tarFiles } from "../testbed.test.ts";

let bed: Testbed;
let context: string;

beforeAll(async () => {
  bed = await Testbed.open();
  context = bed.directory("outputs", { a: "1" });
});
afterAll(() => bed.close());

const FILE = `FROM ${BASE}\nRUN echo big > /big && ln /big /linked && rm /etc/group\nCOPY a /a\n`;

test("an image gets all of its names, complete", async () => {
  const { result } = await bed.build(context, FILE, { tags: ["one", "localhost:5000/two:tag"] });
  expect(result.names).toEqual(["docker.io/library/one:latest", "localhost:5000/two:tag"]);
  expect(bed.store.images.resolve("one").id).toBe(result.imageId as never);
  expect(bed.store.images.resolve("localhost:5000/two:tag").id).toBe(result.imageId as never);
});

test("a bad name is refused before anything runs", async () => {
  const { error, built } = await bed.failure(context, FILE, { tags: ["Not/Valid"] });
  expect(error.code).toBe("invalid");
  expect(built.events).toEqual([]);
});

test("local and tar are the root file system as a plain tar", async () => {
  const files = await bed.files(context, FILE);
  expect(files.get("a")?.text).toBe("1");
  expect([files.get("big")?.header.type, files.get("linked")?.header]).toMatchObject([
    "file",
    { type: "link", linkname: "big" },
  ]);
  expect(files.has("etc/group")).toBe(false);
  expect(files.get("bin/busybox")?.header.size).toBeGreaterThan(100_000);
});

test("oci and docker are archives with the image and its name", async () => {
  for (const type of ["oci", "docker"] as const) {
    const { result } = await bed.build(context, FILE, { tags: ["archived:1"], output: { type } });
    const files = await tarFiles(result.stream as ReadableStream<Uint8Array>);
    expect(files.has(type === "oci" ? "index.json" : "manifest.json")).toBe(true);
    expect([...files.values()].some(({ text }) => text.includes("archived:1"))).toBe(true);
  }
});

test("cacheonly runs everything and makes no image", async () => {
  const before = bed.store.images.list().length;
  const file = `FROM ${BASE}\nRUN echo only-cache\n`;
  const first = await bed.build(context, file, { output: { type: "cacheonly" } });
  expect([first.state("RUN"), first.result.imageId]).toEqual(["done", undefined]);
  expect(bed.store.images.list().length).toBe(before);
  expect((await bed.build(context, file, { output: { type: "cacheonly" } })).state("RUN")).toBe("cached");
});
