import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ImageId } from "@slipway/oci";
import { checkInvariants } from "@slipway/store";
import { baseRootTar } from "@slipway/testkit";
import { type Fixture, idleSupervisor, openFixture, streamOf } from "../testing/engine-fixture.ts";

const CHILD = join(import.meta.dir, "../testing/trash-crash-child.ts");
const BRIDGE = `slwt${process.pid % 100_000}`;
const TEXT = "nobody's to lose";
const LABELS = { keep: "me" };

let home: string;
let image: ImageId;
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "slipway-trash-"));
  const full = await open("full");
  const { volumes, images } = full.engine;
  const { mountpoint } = await volumes.create({ name: "data", labels: LABELS, options: {} });
  writeFileSync(join(mountpoint, "file"), TEXT);
  const options = { message: "", changes: [], signal: new AbortController().signal };
  image = await images.import(streamOf(baseRootTar()), options);
  await full.close();
  cpSync(join(home, "full"), join(home, "pruned"), { recursive: true });
  expect(await run("pruned", "prune", 0)).toBe("done\n");
});
afterAll(async () => {
  // Its end takes the bridge along.
  const last = await open("full");
  await last[Symbol.asyncDispose]();
  rmSync(home, { recursive: true });
});

function open(name: string): Promise<Fixture> {
  const place = { root: join(home, name), execRoot: join(home, "exec"), bridge: BRIDGE };
  return openFixture({ supervisor: idleSupervisor, ...place });
}

async function run(name: string, action: string, moment: number): Promise<string> {
  const argv = [join(home, name), join(home, "exec"), BRIDGE, action, String(moment)];
  const child = Bun.spawn([process.execPath, CHILD, ...argv], { stdout: "pipe", stderr: "inherit" });
  return await new Response(child.stdout).text();
}

/** Where the volume and the image are: `volume data`, `image`, `trashed volume`, `trashed image`; each whole. */
async function found({ engine, store }: Fixture): Promise<string[]> {
  expect(await checkInvariants(store)).toEqual([]);
  const places = engine.trash.contents().items.map(({ kind }) => `trashed ${kind}`);
  for (const { name, mountpoint, labels } of await engine.volumes.list({})) {
    expect(readFileSync(join(mountpoint, "file"), "utf8")).toBe(TEXT);
    expect(labels).toEqual(LABELS);
    places.push(`volume ${name}`);
  }
  if (store.images.get(image) !== undefined) places.push("image");
  return places.sort();
}

/** For each action what there may be before, on the way and after it; of each kind exactly one. */
const ACTIONS: readonly (readonly [
  action: string,
  from: string,
  volume: readonly string[],
  image: readonly string[],
])[] = [
  ["prune", "full", ["volume data", "trashed volume"], ["image", "trashed image"]],
  ["undo", "pruned", ["volume data", "trashed volume"], ["image", "trashed image"]],
  ["undo as", "pruned", ["volume other", "trashed volume"], ["trashed image"]],
  ["empty", "pruned", ["trashed volume", ""], ["trashed image", ""]],
];

test.each(ACTIONS)(
  "killed at any moment of '%s' each thing is there or in the trash, whole, and never both or neither",
  async (action, from, volumes, images) => {
    let moment = 0;
    for (let done = false; !done; ) {
      moment++;
      rmSync(join(home, "copy"), { recursive: true, force: true });
      cpSync(join(home, from), join(home, "copy"), { recursive: true });
      done = (await run("copy", action, moment)) !== "";
      const fixture = await open("copy");
      const places = await found(fixture);
      const of = (kind: string) => places.filter((place) => place.includes(kind)).join(" and ");
      expect([moment, volumes.includes(of("volume"))]).toEqual([moment, true]);
      expect([moment, images.includes(of("image"))]).toEqual([moment, true]);
      if (done) expect([of("volume"), of("image")]).toEqual([last(action, volumes), last(action, images)]);
      // Whatever happened, the trash works: what is in it can be brought back.
      if (fixture.engine.trash.contents().items.length > 0) {
        expect((await fixture.engine.trash.undo(undefined)).failed).toEqual([]);
        expect(fixture.engine.trash.contents().items).toEqual([]);
        await found(fixture);
      }
      await fixture.close();
      rmSync(join(home, "copy"), { recursive: true });
    }
    expect(moment).toBeGreaterThan(4);
    expect(existsSync(join(home, "copy"))).toBe(false);
  },
  120_000,
);

/** What there is when nothing was killed. */
function last(action: string, places: readonly string[]): string {
  return (action.startsWith("undo") ? places[0] : places.at(-1)) ?? "";
}
