import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { BuildEvent } from "./faces.ts";
import { BASE, Built, Testbed } from "./testbed.test.ts";

let bed: Testbed;
let context: string;

beforeAll(async () => {
  bed = await Testbed.open();
  context = bed.directory("solver", { a: "1" });
});
afterAll(() => bed.close());
afterEach(() => {
  expect(bed.mounted()).toEqual([]);
  expect(readdirSync(join(bed.root, "exec/build"))).toEqual([]);
});

const request = (text: string) => ({
  context: { kind: "local" as const, path: context },
  dockerfile: { text, name: "Dockerfile" },
  namedContexts: {},
  buildArgs: {},
  labels: {},
  tags: [],
  noCache: false,
  pull: false,
  secrets: new Map(),
  ssh: new Map(),
  network: "none" as const,
  extraHosts: [],
  shmSize: 1024 * 1024,
  ulimits: [],
  output: { type: "image" as const },
});

/** A build under way: its events so far, and a promise for a piece of output. */
function start(text: string, signal?: AbortSignal) {
  const events: BuildEvent[] = [];
  const waiting: { readonly text: string; readonly resolve: () => void }[] = [];
  const built = () => new Built({ names: [] }, events);
  const onEvent = (event: BuildEvent) => {
    events.push(event);
    if (event.type !== "log") return;
    for (const { text: wanted, resolve } of waiting) if (built().output.includes(wanted)) resolve();
  };
  const result = bed.builder.build(request(text), onEvent, signal);
  const saying = (wanted: string) => new Promise<void>((resolve) => waiting.push({ text: wanted, resolve }));
  return { result, built, saying };
}

describe("independent stages", () => {
  test("run at the same time", async () => {
    const stage = (name: string) => `FROM ${BASE} AS ${name}\nRUN sleep 0.6; echo ${name} ${Math.random()} > /r\n`;
    const startedAt = performance.now();
    await bed.build(
      context,
      `${stage("one")}${stage("two")}FROM scratch\nCOPY --from=one /r /1\nCOPY --from=two /r /2\n`,
    );
    expect(performance.now() - startedAt).toBeLessThan(1150);
  });

  test("when one fails, the other is stopped, and only the one is blamed", async () => {
    const startedAt = performance.now();
    const { error, built } = await bed.failure(
      context,
      `FROM ${BASE} AS slow\nRUN sleep 20; touch /r\nFROM ${BASE} AS bad\nRUN sleep 0.2; exit 3\nFROM scratch\nCOPY --from=slow /r /1\nCOPY --from=bad /r /2\n`,
    );
    expect(performance.now() - startedAt).toBeLessThan(5000);
    expect(error.details.exitCode).toBe(3);
    expect([built.state("sleep 20"), built.state("exit 3"), built.state("COPY --from=slow")]).toEqual([
      "cancelled",
      "failed",
      "cancelled",
    ]);
  });
});

describe("cancelling", () => {
  test("ends the step's processes and leaves neither mounts nor directories", async () => {
    const controller = new AbortController();
    const build = start(
      `FROM ${BASE}\nRUN --mount=type=secret,id=x --mount=target=/c echo started; sleep 30\n`,
      controller.signal,
    );
    await build.saying("started");
    controller.abort();
    const startedAt = performance.now();
    expect(await build.result.catch((error: Error) => error.name)).toBe("AbortError");
    expect(performance.now() - startedAt).toBeLessThan(3000);
    expect(bed.mounted()).toEqual([]);
  });

  test("before it began does nothing", async () => {
    await expect(bed.builder.build(request(`FROM ${BASE}\n`), () => {}, AbortSignal.abort())).rejects.toThrow();
  });
});

describe("the same step of two builds", () => {
  const text = () => `FROM ${BASE}\nRUN echo "shared ${Math.random()}"; date +%N; sleep 0.5; date +%N\n`;

  test("runs once, and both see its output", async () => {
    const file = text();
    const [one, two] = [start(file), start(file)];
    await Promise.all([one.result, two.result]);
    expect(one.built().output).toContain("shared");
    expect(two.built().output).toBe(one.built().output);
  });

  test("goes on when one of them is cancelled, and stops with the last", async () => {
    const file = text();
    const [first, second] = [new AbortController(), new AbortController()];
    const one = start(file, first.signal);
    await one.saying("shared");
    const two = start(file, second.signal);
    await Bun.sleep(20);
    first.abort();
    await expect(one.result).rejects.toThrow();
    expect((await two.result).imageId).toStartWith("sha256:");
  });
});

test("a step that is in the cache does not run, and its place in the graph is told", async () => {
  const file = `FROM ${BASE} AS b\nRUN echo graph\nFROM b\nCOPY a /a\n`;
  await bed.build(context, file);
  const built = await bed.build(context, file);
  expect(built.output).toBe("");
  const copy = built.step("COPY a");
  expect(copy.inputs).toEqual([built.step("RUN echo graph").id, built.step("load build context").id]);
  expect(copy.name).toBe("[stage-1 2/2] COPY a /a");
  expect(copy.source).toMatchObject({ file: "Dockerfile", startLine: 4 });
});
