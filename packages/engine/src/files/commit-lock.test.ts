import { expect, test } from "bun:test";
import { KeyedLock } from "@slipway/base";
import type { ContainerContext } from "../containers/container-context.ts";
import { FileService } from "./file-service.ts";

/** A running container whose image is being made until `gate` opens. */
function committing(onPaused: (state: { status: string }) => void = () => {}) {
  const [reached, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const lock = new KeyedLock();
  const entry = { id: "c", state: { status: "running" }, writable: {}, definition: { config: {}, imageId: "i" } };
  const view = async () => {
    reached.resolve();
    await gate.promise;
    throw new Error("enough");
  };
  const context = {
    lock,
    index: { resolve: () => entry, get: () => entry, amend: () => {} },
    store: {
      images: { get: () => undefined },
      layers: { view },
      leases: { open: () => ({ [Symbol.asyncDispose]: async () => {} }) },
    },
  } as unknown as ContainerContext;
  const set = (status: string) => lock.with("c", async () => void (entry.state.status = status));
  const files = new FileService(context, {
    pause: async () => {
      await set("paused");
      onPaused(entry.state);
    },
    unpause: () => set("running"),
  });
  const commit = files.commit("c", { author: "", comment: "", changes: [] });
  commit.catch(() => {});
  return { commit, reached: reached.promise, open: gate.resolve, resume: () => set("running") };
}

test("nobody lets a container run on while it is copied", async () => {
  const { commit, reached, open, resume } = committing();
  await reached;
  let resumed = false;
  const resuming = resume().then(() => {
    resumed = true;
  });
  await Bun.sleep(20);
  expect(resumed).toBe(false);
  open();
  await expect(commit).rejects.toThrow("enough");
  await resuming;
});

test("one that somebody resumed before is not copied while it runs", async () => {
  const { commit } = committing((state) => {
    state.status = "running";
  });
  await expect(commit).rejects.toMatchObject({ code: "conflict" });
});
