import { resolve } from "node:path";
import type { Storage } from "./contents.ts";
import { openFileStorage } from "./open-files.ts";

/** Opens the storage that `place` names: a folder. Throws `invalid`, `conflict`. */
export async function openRegistryStorage(place: string): Promise<Storage> {
  return await openFileStorage(resolve(place.replace(/^file:\/\//, "")));
}
