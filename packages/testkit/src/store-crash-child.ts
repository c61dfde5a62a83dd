import { mkdirSync, writeFileSync } from "node:fs";
import { isError } from "@slipway/base";
import { encodeImageConfig, parseReference } from "@slipway/oci";
import { type Layer, type Lease, openStore, type Store } from "@slipway/store";
import { mountOverlay } from "@slipway/sys";
import { baseImageArchive } from "./base-image.ts";
import { Random } from "./random.ts";
import { randomLayer } from "./random-layer.ts";

/** Does random things to a data root until it is killed; the store's crash test starts it. */
const [root = "", seed = "1"] = process.argv.slice(2);
const random = new Random(Number(seed));
const store = await openStore({ root });
process.stdout.write("ready\n");

const LAYERS: Layer[] = [];

const ACTIONS: readonly ((lease: Lease) => Promise<unknown>)[] = [
  async (lease) => LAYERS.push(await commitSomething(lease, random.below(4) === 0 ? 500 : 5)),
  async (lease) =>
    LAYERS.push(await store.layers.fromEntries({ entries: randomLayer(random), form: "tree", lease, ...parent() })),
  async (lease) => {
    const layer = await store.layers.fromEntries({
      entries: randomLayer(random, 300),
      form: "tar",
      lease,
      ...parent(),
    });
    LAYERS.push(layer);
    await store.layers.lowers(layer.chainId);
  },
  async (lease) => {
    const writer = await store.blobs.ingest({ key: `key-${random.below(3)}`, lease });
    for (let left = random.below(5); left > 0; left--) await writer.write(random.bytes(50_000));
    await (random.chance(0.5) ? writer.commit() : random.chance(0.5) ? writer.suspend() : writer.abort());
  },
  putImage,
  async () => {
    const name = `crash/base-${random.below(3)}:latest`;
    await store.images.load(new Blob([baseImageArchive(name) as Uint8Array<ArrayBuffer>]).stream());
  },
  async () => {
    for (const image of store.images.list()) if (random.chance(0.3)) store.images.remove(image.id);
  },
  async () => {
    const stamp = { batch: "b", takenAt: 0, until: 0 };
    for (const image of store.images.list()) if (random.chance(0.3)) store.restorables.takeImage(image.id, stamp);
  },
  async () => {
    for (const { id } of store.restorables.list()) {
      const roll = random.below(3);
      if (roll === 0) store.restorables.restoreImage(id);
      if (roll === 1) store.restorables.drop([id]);
    }
  },
  async () => {
    const image = store.images.list()[0];
    if (image !== undefined) await store.images.materialize(image.id);
  },
  async () => {
    await store.collect();
    LAYERS.length = 0;
  },
  async (lease) => {
    const writable = await store.layers.prepare(parent().parent, lease, { persistent: true });
    if (random.chance(0.5)) await store.layers.discard(writable);
  },
];

function parent(): { readonly parent?: Layer["chainId"] } {
  const live = LAYERS.filter(({ chainId }) => store.layers.get(chainId) !== undefined);
  return live.length === 0 || random.chance(0.3) ? {} : { parent: random.pick(live).chainId };
}

async function commitSomething(lease: Lease, files: number): Promise<Layer> {
  const writable = await store.layers.prepare(parent().parent, lease);
  mkdirSync(`${writable.upper}/d`);
  for (let index = 0; index < files; index++)
    writeFileSync(`${writable.upper}/d/${index}`, random.bytes(random.below(3000)));
  return store.layers.commit(writable, lease);
}

async function putImage(lease: Lease): Promise<void> {
  const { parent: top } = parent();
  const diffIds = top === undefined ? [] : store.layers.stack(top).map(({ diffId }) => diffId);
  const config = { os: "linux", architecture: "amd64", config: {}, history: [], diffIds };
  await store.images.put({ config, names: [parseReference(`crash/image-${random.below(4)}:latest`)], lease });
  if (encodeImageConfig(config).bytes.length === 0) throw new Error("unreachable");
}

/** A mount that nobody undoes: the killed build step's. */
async function leaveMount(target: Store): Promise<void> {
  const lease = target.leases.open("mount");
  const layer = await commitSomething(lease, 3);
  const writable = await target.layers.prepare(layer.chainId, lease);
  const { lowers, upper, work, merged } = writable;
  mountOverlay({ lowers, upper, work, target: merged, volatile: true });
}

if (random.chance(0.5)) await leaveMount(store);
for (;;) {
  // Several at once: they meet in the middle of one another.
  await Promise.all(
    [0, 1].map(async () => {
      await using lease = store.leases.open("crash");
      await random
        .pick(ACTIONS)(lease)
        .catch((error: unknown) => {
          // Two writers of one key, an image that the other removed: as it should be.
          if (!isError(error, "conflict") && !isError(error, "not-found")) throw error;
        });
    }),
  );
}
