import type { Database } from "bun:sqlite";
import { rmdirSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "@slipway/base";
import { namesIn } from "../directory-names.ts";
import { isVolumeName } from "../settings/mount-spec.ts";

/**
 * Deals with directories that no row names. An engine that fell in the making of a volume leaves an empty one, which goes.
 * One that holds something is a volume again, as Docker has it: its removal was not finished, or somebody put it there, and
 * nobody's data is thrown away on a guess.
 */
export function recoverVolumes(database: Database, root: string, now: number): void {
  const known = database.query<{ name: string }, []>("SELECT name FROM engine_volumes").all();
  const names = new Set(known.map(({ name }) => name));
  const adopt = database.query("INSERT INTO engine_volumes VALUES (?, 'local', ?, ?, '{}', ?)");
  for (const name of namesIn(root)) {
    if (names.has(name) || !isVolumeName(name) || removeIfEmpty(join(root, name))) continue;
    const anonymous = /^[0-9a-f]{64}$/.test(name);
    adopt.run(name, now, JSON.stringify(anonymous ? { "com.docker.volume.anonymous": "" } : {}), anonymous ? 1 : 0);
  }
}

function removeIfEmpty(directory: string): boolean {
  for (const path of [join(directory, "_data"), directory]) {
    try {
      rmdirSync(path);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") return false;
    }
  }
  return true;
}
