import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageNames, REPOSITORY } from "./sources.ts";

const faces = JSON.parse(readFileSync(join(import.meta.dir, "faces.json"), "utf8")) as Record<string, string[]>;

for (const name of packageNames()) {
  test(`the face of ${name} is what faces.json says`, async () => {
    const module = (await import(join(REPOSITORY, "packages", name, "src/index.ts"))) as Record<string, unknown>;
    // A changed face is a decision: `bun tests/structure/pin-faces.ts` writes it down.
    expect(Object.keys(module).sort()).toEqual(faces[name] ?? []);
  });

  test(`the face of ${name} names each export`, () => {
    const index = readFileSync(join(REPOSITORY, "packages", name, "src/index.ts"), "utf8");
    expect(index).not.toMatch(/export (type )?\*/);
  });
}
