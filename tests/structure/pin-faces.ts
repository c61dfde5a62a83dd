/** Writes the exported values of every package to faces.json, which faces.test.ts holds them to. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageNames, REPOSITORY } from "./sources.ts";

const faces: Record<string, string[]> = {};
for (const name of packageNames().sort()) {
  const module = (await import(join(REPOSITORY, "packages", name, "src/index.ts"))) as Record<string, unknown>;
  faces[name] = Object.keys(module).sort();
}
writeFileSync(join(import.meta.dir, "faces.json"), `${JSON.stringify(faces, null, 2)}\n`);
