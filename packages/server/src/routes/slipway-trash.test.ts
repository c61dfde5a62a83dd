import { expect, test } from "bun:test";
import { SlipwayError } from "@slipway/base";
import type { TrashItem } from "../backend.ts";
import { fakeBackends } from "../testing/fake-backends.ts";
import { withServer } from "../testing/with-server.ts";

const ITEM: TrashItem = {
  ...{ id: "i1", prune: "p1", kind: "volume", target: "data", names: ["data"] },
  ...{ bytes: 5, prunedAt: 0, until: 86_400_000 },
};
const DOCUMENT = {
  ...{ Id: "i1", Prune: "p1", Kind: "volume", Target: "data", Names: ["data"], Size: 5 },
  ...{ PrunedAt: "1970-01-01T00:00:00Z", Until: "1970-01-02T00:00:00Z" },
};

test("the trash is listed, restored whole or in part, and emptied", async () => {
  const asked: unknown[] = [];
  const backends = fakeBackends({
    trash: {
      contents: () => ({ items: [ITEM], bytes: 5, maxBytes: 10 }),
      async undo(id, options) {
        asked.push([id, options]);
        const error = new SlipwayError("conflict", "taken", { hint: "another name" });
        const restored = [{ kind: "image", id: "sha256:1", names: ["a:1"], taken: ["b:1"] }] as const;
        return { prune: "p1", restored, failed: [{ item: ITEM, error }] };
      },
      async empty(id) {
        asked.push(id);
        return { removed: [ITEM], freedBytes: 5 };
      },
    },
  });
  await withServer(backends, async ({ request }) => {
    const json = async (method: string, path: string) => (await request(path, { method })).json();
    expect(await json("GET", "/slipway/trash")).toEqual({ Items: [DOCUMENT], Size: 5, MaxSize: 10 });
    const failed = { ...DOCUMENT, Error: { message: "taken", code: "conflict", hint: "another name" } };
    expect(await json("POST", "/slipway/trash/restore")).toEqual({
      Prune: "p1",
      Restored: [{ Kind: "image", Id: "sha256:1", Names: ["a:1"], NamesTaken: ["b:1"] }],
      Failed: [failed],
    });
    await json("POST", "/v1.50/slipway/trash/i1/restore?as=other");
    expect(await json("DELETE", "/slipway/trash")).toEqual({ Items: [DOCUMENT], SpaceReclaimed: 5 });
    await json("DELETE", "/slipway/trash/p1");
    expect(asked).toEqual([[undefined, {}], ["i1", { as: "other" }], undefined, "p1"]);
  });
});

test("a full disk is told with what makes room", async () => {
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  const wrapped = new SlipwayError("exhausted", "cannot store a layer", { cause: full });
  for (const error of [full, wrapped]) {
    const backends = fakeBackends({ volumes: { list: () => Promise.reject(error) } });
    await withServer(backends, async ({ request }) => {
      const response = await request("/volumes");
      expect(response.status).toBe(500);
      expect(await response.json()).toMatchObject({ hint: expect.stringContaining("slipway system trash empty") });
    });
  }
});
