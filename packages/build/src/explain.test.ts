import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { BASE, Testbed, writeFiles } from "./testbed.test.ts";

let bed: Testbed;

beforeAll(async () => {
  bed = await Testbed.open();
});
afterAll(() => bed.close());

let contexts = 0;
const contextWith = (files: Record<string, string>) => bed.directory(`context-${contexts++}`, files);

describe("a step runs again, and says why", () => {
  test("the first time", async () => {
    const built = await bed.build(contextWith({ a: "1" }), `FROM ${BASE}\nRUN echo first-time\n`);
    expect(built.reasons("RUN")).toEqual(["first-time RUN echo first-time"]);
  });

  test("files that were added, removed and changed, each by name", async () => {
    const context = contextWith({ "src/keep": "k", "src/change": "1", "src/remove": "r" });
    const file = `FROM ${BASE}\nCOPY src /src\nRUN ls /src\n`;
    await bed.build(context, file);
    expect((await bed.build(context, file)).state("COPY")).toBe("cached");
    writeFiles(context, { "src/change": "2", "src/add": "a" });
    rmSync(join(context, "src/remove"));
    const built = await bed.build(context, file);
    expect(built.reasons("COPY").sort()).toEqual([
      "file-added src/add",
      "file-changed src/change",
      "file-removed src/remove",
    ]);
    expect(built.reasons("RUN")).toEqual(["parent [2/3] COPY src /src"]);
  });

  test("the earlier step that changed, not one above it that came from the cache", async () => {
    const context = contextWith({ conf: "1", "pages/a": "a" });
    const file = `FROM ${BASE}\nCOPY conf /conf\nCOPY pages /pages\nWORKDIR /w\nRUN ls /pages # cause\n`;
    await bed.build(context, file);
    writeFiles(context, { conf: "2" });
    const built = await bed.build(context, file);
    expect([built.state("COPY pages"), built.state("WORKDIR")]).toEqual(["cached", "cached"]);
    expect(built.reasons("COPY conf")).toEqual(["file-changed conf"]);
    expect(built.reasons("# cause")).toEqual(["parent [2/5] COPY conf /conf"]);
    // Back to a layer that is in the cache, below a step that never stood on it.
    writeFiles(context, { conf: "1", "pages/a": "b" });
    await bed.build(context, file);
    writeFiles(context, { conf: "2" });
    const back = await bed.build(context, file);
    expect([back.state("COPY conf"), back.state("COPY pages")]).toEqual(["cached", "cached"]);
    expect(back.reasons("# cause")).toEqual(["parent [2/5] COPY conf /conf"]);
  });

  test("a step that ran and came to the same is no cause; a linked copy and another stage can be one", async () => {
    const context = contextWith({ a: "1", b: "1" });
    const file = `FROM ${BASE} AS s\nCOPY a /a\nRUN mkdir -p /s && touch -d @1 /s/f /s\nRUN true # on-s\nFROM ${BASE}\nCOPY --link b /b\nCOPY --from=s /a /from-s\nRUN true # on-all\n`;
    await bed.build(context, file, { target: "s" });
    await bed.build(context, file);
    writeFiles(context, { a: "2" });
    expect((await bed.build(context, file, { target: "s" })).reasons("# on-s")).toEqual(["parent [s 2/4] COPY a /a"]);
    writeFiles(context, { a: "1", b: "2" });
    expect((await bed.build(context, file)).reasons("# on-all")).toEqual(["parent [stage-1 2/4] COPY --link b /b"]);
  });

  test("another base image, below a step from the cache", async () => {
    const context = contextWith({ a: "1" });
    const file = "FROM under:1\nCOPY a /a\nRUN true # over\n";
    await bed.build(context, `FROM ${BASE}\nRUN echo under-1 > /v\n`, { tags: ["under:1"] });
    await bed.build(context, file);
    await bed.build(context, `FROM ${BASE}\nRUN echo under-2 > /v\n`, { tags: ["under:1"] });
    expect((await bed.build(context, file)).reasons("# over")).toEqual(["base-image under:1"]);
  });

  test("a copy's changed files alone, when what lies below changed too", async () => {
    const context = contextWith({ a: "p1", b: "p1" });
    const file = `FROM ${BASE}\nCOPY a /a\nCOPY b /b\n`;
    await bed.build(context, file);
    writeFiles(context, { a: "p2", b: "p2" });
    expect((await bed.build(context, file)).reasons("COPY b")).toEqual(["file-changed b"]);
  });

  test("a file's mode", async () => {
    const context = contextWith({ a: "1" });
    const file = `FROM ${BASE}\nCOPY a /a\n`;
    await bed.build(context, file);
    chmodSync(join(context, "a"), 0o755);
    expect((await bed.build(context, file)).reasons("COPY")[0]).toStartWith(
      "metadata-changed a file 644 0:0 -> file 755",
    );
  });

  test("a build argument and an environment variable, with both values", async () => {
    const context = contextWith({});
    const file = (env: string) => `FROM ${BASE}\nARG V=1\nENV E=${env}\nRUN echo arguments\n`;
    await bed.build(context, file("x"));
    expect((await bed.build(context, file("x"), { buildArgs: { V: "2" } })).reasons("RUN")).toEqual([
      "argument V 1 -> 2",
    ]);
    expect((await bed.build(context, file("y"), { buildArgs: { V: "2" } })).reasons("RUN")).toEqual([
      "environment E x -> y",
    ]);
  });

  test("another instruction in its place", async () => {
    const context = contextWith({});
    await bed.build(context, `FROM ${BASE}\nRUN echo before-this\n`);
    const built = await bed.build(context, `FROM ${BASE}\nRUN echo after-this\n`);
    expect(built.reasons("RUN")).toEqual([
      "instruction RUN echo after-this RUN echo before-this -> RUN echo after-this",
    ]);
  });

  test("another base image under the same name", async () => {
    const context = contextWith({ a: "1" });
    await bed.build(context, `FROM ${BASE}\nRUN echo base-1 > /v\n`, { tags: ["moving:1"] });
    await bed.build(context, "FROM moving:1\nRUN echo on-moving\nCOPY a /a\n");
    await bed.build(context, `FROM ${BASE}\nRUN echo base-2 > /v\n`, { tags: ["moving:1"] });
    const built = await bed.build(context, "FROM moving:1\nRUN echo on-moving\nCOPY a /a\n");
    expect(built.reasons("RUN")).toEqual(["base-image moving:1"]);
    expect(built.state("COPY")).toBe("cached");
  });

  test("--no-cache, and what was pruned", async () => {
    const context = contextWith({});
    const file = `FROM ${BASE}\nRUN echo pruned > /p\n`;
    await bed.build(context, file);
    expect((await bed.build(context, file, { noCache: true })).reasons("RUN")).toEqual([
      "no-cache RUN echo pruned > /p",
    ]);
    await bed.builder.prune({ all: true, filters: {} });
    expect((await bed.build(context, file)).reasons("RUN")).toEqual(["evicted RUN echo pruned > /p"]);
  });
});

describe("a step does not run again", () => {
  test("for new times of the same files", async () => {
    const context = contextWith({ "d/a": "1" });
    const file = `FROM ${BASE}\nCOPY d /d\nRUN echo times\n`;
    const first = await bed.build(context, file);
    utimesSync(join(context, "d/a"), 1, 1);
    const second = await bed.build(context, file);
    expect([second.state("COPY"), second.state("RUN")]).toEqual(["cached", "cached"]);
    expect(second.result.imageId).toBe(first.result.imageId);
  });

  test("when a changed step below comes to the same files", async () => {
    const file = (text: string) =>
      `FROM ${BASE} AS made\nRUN ${text}\nRUN touch -d @1 /out\nFROM ${BASE}\nCOPY --from=made /out /out\nRUN cat /out # after\n`;
    const context = contextWith({});
    await bed.build(context, file("echo same > /out"));
    const built = await bed.build(context, file("true; echo same > /out"));
    expect(built.state("true; echo same")).toBe("done");
    expect([built.state("COPY"), built.state("# after")]).toEqual(["cached", "cached"]);
  });

  test("for files that it does not copy", async () => {
    const context = contextWith({ a: "1", b: "1" });
    const file = `FROM ${BASE}\nCOPY a /a\n`;
    await bed.build(context, file);
    writeFiles(context, { b: "2" });
    expect((await bed.build(context, file)).state("COPY")).toBe("cached");
  });

  test("for an ARG that comes after it", async () => {
    const context = contextWith({});
    const file = `FROM ${BASE}\nRUN echo before-arg\nARG V=1\nRUN echo after-arg\n`;
    await bed.build(context, file);
    const built = await bed.build(context, file, { buildArgs: { V: "2" } });
    expect([built.state("before-arg"), built.state("after-arg")]).toEqual(["cached", "done"]);
  });
});

test("the reasons survive a restart of the builder", async () => {
  const context = contextWith({ f: "1" });
  const file = `FROM ${BASE}\nCOPY f /f\nRUN echo restarted\n`;
  await bed.build(context, file);
  await bed.close(false);
  bed = await Testbed.open(bed.root);
  expect((await bed.build(context, file)).state("RUN")).toBe("cached");
  writeFiles(context, { f: "2" });
  expect((await bed.build(context, file)).reasons("COPY")).toEqual(["file-changed f"]);
});

test("usage lists records, and prune leaves what filters keep", async () => {
  const context = contextWith({});
  await bed.build(context, `FROM ${BASE}\nRUN --mount=type=cache,target=/c echo usage > /usage\n`);
  const records = await bed.builder.usage();
  expect(records.some(({ description }) => description.includes("echo usage"))).toBe(true);
  expect(records.some(({ type }) => type === "exec.cachemount")).toBe(true);
  await bed.builder.prune({ all: true, filters: { type: ["exec.cachemount"] } });
  const left = await bed.builder.usage();
  expect(left.some(({ type }) => type === "exec.cachemount")).toBe(false);
  expect(left.length).toBeGreaterThan(0);
  await bed.builder.prune({ all: true, filters: { until: ["1h"] } });
  expect((await bed.builder.usage()).length).toBe(left.length);
  await bed.builder.prune({ all: true, filters: {} });
  expect(await bed.builder.usage()).toEqual([]);
});

test("prune by space takes the least recently used until what stays fits", async () => {
  const context = contextWith({});
  for (const name of ["old", "new"]) {
    await bed.build(context, `FROM ${BASE}\nRUN head -c 300000 /dev/zero > /${name}\n`);
  }
  // What an image has too takes no space of the cache's own.
  for (const image of bed.store.images.list()) if (image.names.length === 0) bed.store.images.remove(image.id);
  const space = (limits: { reserved?: number; maxUsed?: number; minFree?: number }) => ({
    ...{ all: true, filters: {}, space: { reserved: 0, maxUsed: 0, minFree: 0, ...limits } },
  });
  const descriptions = async () => (await bed.builder.usage()).map(({ description }) => description).join("\n");
  await bed.builder.prune(space({ maxUsed: 10_000_000 }));
  await bed.builder.prune(space({ minFree: 1 }));
  expect(await descriptions()).toContain("/old");
  await bed.builder.prune(space({ maxUsed: 1, reserved: 400_000 }));
  expect(await descriptions()).not.toContain("/old");
  expect(await descriptions()).toContain("/new");
  await bed.builder.prune(space({ maxUsed: 1 }));
  expect(await descriptions()).not.toContain("/new");
});
