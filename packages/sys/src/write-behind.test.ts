import { expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeBehind } from "./write-behind.ts";

test("content is written whole and in order, whatever its pieces are", async () => {
  const directory = mkdtempSync(join(tmpdir(), "write-behind-"));
  try {
    for (const sizes of [[], [0], [1], [3_000_000, 1, 0, 5], Array.from({ length: 5000 }, (_, n) => n % 900)]) {
      const chunks = sizes.map((size, n) => new Uint8Array(size).fill(n));
      const fd = openSync(join(directory, "file"), "w");
      await writeBehind(
        fd,
        (async function* () {
          yield* chunks;
        })(),
      );
      closeSync(fd);
      expect(readFileSync(join(directory, "file")).equals(Buffer.concat(chunks))).toBe(true);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a failure of either side is told", async () => {
  const one = async function* () {
    yield new Uint8Array(10);
  };
  const readOnly = openSync("/dev/null", "r");
  await expect(writeBehind(readOnly, one())).rejects.toMatchObject({ code: "EBADF" });
  closeSync(readOnly);
  const full = openSync("/dev/full", "w");
  const breaking = async function* () {
    for (let n = 0; n < 4; n++) yield new Uint8Array(2_000_000);
  };
  await expect(writeBehind(full, breaking())).rejects.toMatchObject({ code: "ENOSPC" });
  closeSync(full);
});
