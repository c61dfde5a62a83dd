import { Database } from "bun:sqlite";
import { mock } from "bun:test";
import * as fs from "node:fs";

/**
 * Does one thing with the trash and kills itself at the given moment of it, counted from 1: before and after each rename,
 * directory and transaction. `trash-crash-child.ts ROOT EXEC_ROOT BRIDGE ACTION MOMENT`. It prints `done` when there were
 * not so many moments.
 */
const [root = "", execRoot = "", bridge = "", action = "", moment = "0"] = process.argv.slice(2);
const real = { ...fs };
let left = Number.POSITIVE_INFINITY;

function pass(): void {
  if (--left === 0) process.kill(process.pid, "SIGKILL");
}

function counted<Arguments extends readonly unknown[], Result>(call: (...args: Arguments) => Result) {
  return (...args: Arguments): Result => {
    pass();
    try {
      return call(...args);
    } finally {
      pass();
    }
  };
}

mock.module("node:fs", () => ({
  ...real,
  renameSync: counted(real.renameSync),
  mkdirSync: counted(real.mkdirSync),
  rmdirSync: counted(real.rmdirSync),
}));
const { transaction } = Database.prototype;
Database.prototype.transaction = function (this: Database, work: Parameters<typeof transaction>[0]) {
  return counted(transaction.call(this, work));
} as typeof transaction;

const { idleSupervisor, openFixture } = await import("./engine-fixture.ts");
const { engine } = await openFixture({ supervisor: idleSupervisor, root, execRoot, bridge });
const actions: Readonly<Record<string, () => Promise<unknown>>> = {
  prune: () =>
    engine.prunes.run(
      [
        { kind: "volume", filters: { all: ["true"] } },
        { kind: "image", filters: {} },
      ],
      { trash: true },
    ),
  undo: () => engine.trash.undo(undefined),
  "undo as": () => engine.trash.undo("data", { as: "other" }),
  empty: () => engine.trash.empty(),
};
left = Number(moment);
await actions[action]?.();
left = Number.POSITIVE_INFINITY;
real.writeSync(1, "done\n");
process.exit(0);
