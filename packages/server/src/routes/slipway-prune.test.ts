import { expect, test } from "bun:test";
import type { PruneStep } from "../backend.ts";
import { fakeBackends } from "../testing/fake-backends.ts";
import { withServer } from "../testing/with-server.ts";

const post = (steps: unknown) => ({ method: "POST", body: JSON.stringify({ Steps: steps }) });

test("a plan is asked for in steps and told with sizes, last use and what all of it frees", async () => {
  let seen: readonly PruneStep[] = [];
  const backends = fakeBackends({
    prunes: {
      async plan(steps) {
        seen = steps;
        const item = { kind: "container", id: "c1", name: "web", detail: "Exited (0)", bytes: 12 } as const;
        return { items: [{ ...item, lastUsed: 0 }], freedBytes: 34, trashBytes: 0 };
      },
    },
  });
  await withServer(backends, async ({ request }) => {
    const steps = [
      { Kind: "container", Filters: { label: ["a"] } },
      { Kind: "builder", All: true },
    ];
    const response = await request("/slipway/prune-plan", post(steps));
    expect(await response.json()).toEqual({
      Items: [
        { Kind: "container", Id: "c1", Name: "web", Detail: "Exited (0)", Size: 12, LastUsed: "1970-01-01T00:00:00Z" },
      ],
      SpaceReclaimed: 34,
      SpaceInTrash: 0,
    });
    expect(seen).toEqual([
      { kind: "container", filters: { label: ["a"] } },
      { kind: "builder", all: true, filters: {} },
    ]);
  });
});

test("a prune answers as Docker's calls do, one report a step, and tells what the trash keeps", async () => {
  let seen: unknown;
  const backends = fakeBackends({
    prunes: {
      async run(steps, options) {
        seen = [steps, options];
        return {
          reports: [
            { kind: "volume", removed: [], freedBytes: 0 },
            { kind: "image", removed: [{ untagged: "a:1" }, { deleted: "sha256:1" }], freedBytes: 3 },
          ],
          items: [{ kind: "image", id: "sha256:1", name: "a:1", detail: "", bytes: 9, lastUsed: 0, trash: true }],
          freedBytes: 3,
          trash: { prune: "p1", bytes: 9, until: 0 },
        };
      },
    },
  });
  await withServer(backends, async ({ request }) => {
    const body = JSON.stringify({ Steps: [{ Kind: "volume" }, { Kind: "image" }], Trash: true });
    const response = await request("/slipway/prune", { method: "POST", body });
    const epoch = "1970-01-01T00:00:00Z";
    expect(await response.json()).toEqual({
      Items: [{ Kind: "image", Id: "sha256:1", Name: "a:1", Detail: "", Size: 9, LastUsed: epoch, Trash: true }],
      Reports: [
        { Kind: "volume", VolumesDeleted: null, SpaceReclaimed: 0 },
        { Kind: "image", ImagesDeleted: [{ Untagged: "a:1" }, { Deleted: "sha256:1" }], SpaceReclaimed: 3 },
      ],
      SpaceReclaimed: 3,
      Trash: { Id: "p1", Size: 9, Until: epoch },
    });
    const filters = {};
    expect(seen).toEqual([
      [
        { kind: "volume", filters },
        { kind: "image", filters },
      ],
      { trash: true },
    ]);
  });
});

test("what is no step is refused", async () => {
  await withServer(fakeBackends(), async ({ request }) => {
    for (const steps of [[{ Kind: "swarm" }], [{}], [{ Kind: "image", Filters: { dangling: "true" } }], 7]) {
      expect((await request("/slipway/prune-plan", post(steps))).status).toBe(400);
    }
  });
});
