import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RuntimeSpec } from "./spec-document.ts";

/** 2^64-1 as JavaScript prints it; as a Go number it would overflow. */
const INFINITY_ROUNDED = /\b18446744073709552000\b/g;
const INFINITY = "18446744073709551615";

/** The text of a config.json. */
export function encodeSpec(spec: RuntimeSpec): string {
  const text = JSON.stringify(spec);
  return text.includes("18446744073709552000") ? text.replace(INFINITY_ROUNDED, INFINITY) : text;
}

/** Writes a bundle's config.json. A plain write: nobody reads it before the runtime is started. */
export function writeSpec(bundle: string, spec: RuntimeSpec): void {
  writeFileSync(join(bundle, "config.json"), encodeSpec(spec), { mode: 0o600 });
}
