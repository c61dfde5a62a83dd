import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { SlipwayError } from "@slipway/base";
import { INIT_PROGRAMS } from "./init-program.ts";

/**
 * The path of the init that is bound into containers, written into the directory unless it is there: two kilobytes without
 * a library, so that it runs in any image, on any file system that containers run from (`/run` may be mounted noexec).
 * Throws `unavailable` on a machine that we have none for.
 */
export function installInit(directory: string, architecture: string = process.arch): string {
  const encoded = INIT_PROGRAMS[architecture];
  if (encoded === undefined) {
    throw new SlipwayError("unavailable", `there is no init program for ${architecture}`, {
      hint: "Drop --init, or run an init of the image's own.",
    });
  }
  const program = gunzipSync(Buffer.from(encoded, "base64"));
  const path = join(directory, "docker-init");
  if (isThere(path, program)) return path;
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  // Containers may be running the old one: it is replaced, never written over.
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, program, { mode: 0o755 });
  chmodSync(temporary, 0o755);
  renameSync(temporary, path);
  return path;
}

function isThere(path: string, program: Uint8Array): boolean {
  try {
    return readFileSync(path).equals(program);
  } catch {
    return false;
  }
}
