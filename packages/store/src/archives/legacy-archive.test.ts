import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorMessage } from "@slipway/base";
import { familiarReference } from "@slipway/oci";
import { type TarMember, tarOf } from "@slipway/testkit";
import type { Store } from "../faces.ts";
import { checkInvariants } from "../invariants.ts";
import { openStore } from "../open-store.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function emptyStore(): Promise<Store> {
  const root = mkdtempSync(join(tmpdir(), "slipway-legacy-"));
  const store = await openStore({ root });
  cleanups.push(async () => {
    await store.close();
    rmSync(root, { recursive: true, force: true });
  });
  return store;
}

const [bottom, top] = ["b".repeat(64), "a".repeat(64)];
const file = (name: string, content: string | Uint8Array): TarMember => ({ name, type: "file", content });

function layer(id: string, document: object, members: readonly TarMember[]): TarMember[] {
  return [
    { name: `${id}/`, type: "dir", mode: 0o755 },
    file(`${id}/VERSION`, "1.0"),
    file(`${id}/json`, JSON.stringify({ id, ...document })),
    file(`${id}/layer.tar`, tarOf(members)),
  ];
}

function load(store: Store, members: readonly TarMember[]) {
  const bytes = tarOf(members);
  return store.images.load(new Blob([bytes as Uint8Array<ArrayBuffer>]).stream());
}

test("an archive from before Docker 1.10 loads: layers named by chance, each with its parent", async () => {
  const store = await emptyStore();
  const [loaded] = await load(store, [
    ...layer(bottom, { created: "2014-01-01T00:00:00Z", os: "linux", architecture: "amd64" }, [file("one", "1")]),
    ...layer(
      top,
      {
        parent: bottom,
        created: "2015-01-01T00:00:00Z",
        author: "somebody",
        config: { Cmd: ["sh"], Env: ["A=1"] },
        container_config: { Cmd: ["/bin/sh", "-c", "#(nop) CMD sh"] },
      },
      [],
    ),
    file("repositories", JSON.stringify({ hello: { latest: top, old: top } })),
  ]);
  if (loaded === undefined) throw new Error("nothing was loaded");
  const { image } = loaded;
  expect(loaded.names.map(familiarReference)).toEqual(["hello:latest", "hello:old"]);
  expect(image.config).toMatchObject({ author: "somebody", config: { Cmd: ["sh"], Env: ["A=1"] } });
  expect(image.config.history.map((step) => step.created_by)).toEqual(["", "/bin/sh -c #(nop) CMD sh"]);
  expect(image.layers).toHaveLength(2);
  const chain = image.layers.at(-1);
  expect(chain === undefined ? [] : (await store.layers.view(chain)).readdir("/")).toEqual(["one"]);
  expect(await checkInvariants(store)).toEqual([]);
});

test.each<[string, TarMember[], string]>([
  ["a circle of parents", [file(`${top}/json`, JSON.stringify({ parent: top }))], "a circle of them"],
  ["a parent out of the archive", [file(`${top}/json`, JSON.stringify({ parent: "../../etc" }))], "what is no ID"],
  ["a missing parent", [file(`${top}/json`, JSON.stringify({ parent: bottom }))], "which is not in it"],
  ["JSON for a layer", [file(`${top}/json`, "{}"), file(`${top}/layer.tar`, '{"a":1}')], "is not a layer"],
])("%s is refused and leaves nothing", async (_, members, words) => {
  const store = await emptyStore();
  const archive = [...members, file("repositories", JSON.stringify({ hello: { latest: top } }))];
  expect(await load(store, archive).then(() => "loaded", errorMessage)).toContain(words);
  expect(store.images.list()).toEqual([]);
  expect(await checkInvariants(store)).toEqual([]);
});
