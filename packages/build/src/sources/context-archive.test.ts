import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorCode } from "@slipway/base";
import { END_OF_ARCHIVE, encodeTarHeader, type TarHeaderInput } from "@slipway/tar";
import { unpackContext } from "./context-archive.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "slipway-context-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const entry = (header: Partial<TarHeaderInput> & { readonly name: string }) =>
  encodeTarHeader({ type: "file", mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 0n, ...header } as TarHeaderInput);

async function failureOf(...parts: readonly Uint8Array[]): Promise<{ code: string; message: string }> {
  const stream = new Blob(parts.map((part) => Buffer.from(part))).stream();
  try {
    await unpackContext(stream, root, AbortSignal.timeout(5000));
  } catch (error) {
    return { code: errorCode(error), message: (error as Error).message };
  }
  throw new Error("it was unpacked");
}

test("a damaged archive is the client's fault, and the place is told", async () => {
  const damaged = await failureOf(entry({ name: "a" }), Buffer.alloc(512, "x"));
  expect(damaged.code).toBe("invalid");
  expect(damaged.message).toStartWith("the build context cannot be read: tar archive, byte 512");
});

test("an archive that contradicts itself is refused with the entry and the reason", async () => {
  const cases: [TarHeaderInput["type"], string, string, string][] = [
    ["link", "l", "nowhere", 'cannot be unpacked at "l": no such file or directory'],
    ["file", "n".repeat(300), "", "name too long"],
  ];
  for (const [type, name, linkname, reason] of cases) {
    const refused = await failureOf(entry({ type, name, linkname }), END_OF_ARCHIVE);
    expect(refused.code).toBe("invalid");
    expect(refused.message).toContain(reason);
  }
});
