import { nearest } from "@slipway/base";
import { formatPlatform, type Platform, platformMatches } from "@slipway/oci";
import type { RuleSet } from "./directives.ts";
import type { Dockerfile } from "./dockerfile.ts";
import type { Expansion } from "./expand.ts";
import { RULES, type Warning, warning } from "./rules.ts";
import type { SourceRange } from "./source.ts";

/** Checks that need to know more than the file. The caller keeps those that `warningApplies` to. */

/** Whether the file's directives let a warning through: the one at the top and the one above the instruction. */
export function warningApplies(dockerfile: Pick<Dockerfile, "directives" | "skips">, found: Warning): boolean {
  const { skip, experimental } = dockerfile.directives.check;
  const above = dockerfile.skips.get(found.range.startLine) ?? [];
  if (has(skip, found.rule) || has(above, found.rule)) return false;
  return !RULES.get(found.rule)?.experimental || has(experimental, found.rule);
}

function has(rules: RuleSet, name: string): boolean {
  return rules === "all" || rules.includes(name);
}

/**
 * Variables that a word used and that neither the stage nor the base image has. `known` are all names that are declared
 * here; an ARG without a value is one of them, because its emptiness is meant.
 */
export function checkUndefinedVar(
  expansion: Pick<Expansion, "undefined">,
  known: Iterable<string>,
  range: SourceRange,
): Warning[] {
  if (expansion.undefined.size === 0) return [];
  const names = [...known];
  const missing = [...expansion.undefined].filter((name) => !names.includes(name));
  return missing.map((name) => {
    // One letter is near every other letter.
    const near = name.length > 2 ? nearest(name, names) : undefined;
    const suggestion = near === undefined ? "" : ` (did you mean $${near}?)`;
    return warning("UndefinedVar", `Usage of undefined variable '$${name}'${suggestion}`, range);
  });
}

export function checkBaseImagePlatform(
  image: string,
  platforms: { readonly expected: Platform; readonly actual: Platform },
  range: SourceRange,
): Warning | undefined {
  const { expected, actual } = platforms;
  if (platformMatches(expected, actual)) return undefined;
  const message = `Base image ${image} was pulled with platform "${formatPlatform(actual)}", expected "${formatPlatform(expected)}" for current build`;
  return warning("InvalidBaseImagePlatform", message, range);
}

/** For a source of COPY or ADD that the ignore file keeps out of the context. */
export function copyIgnoredFile(instruction: "COPY" | "ADD", path: string, range: SourceRange): Warning {
  const verb = instruction === "COPY" ? "Copy" : "Add";
  return warning("CopyIgnoredFile", `Attempting to ${verb} file "${path}" that is excluded by .dockerignore`, range);
}

/** The two EXPOSE rules on expanded words. */
export function checkExpose(words: readonly string[], range: SourceRange): Warning[] {
  const found: Warning[] = [];
  for (const word of words) {
    const slash = word.indexOf("/");
    const protocol = slash < 0 ? "" : word.slice(slash + 1);
    if (protocol !== protocol.toLowerCase()) {
      const message = `Defined protocol '${word}' in EXPOSE instruction should be lowercase`;
      found.push(warning("ExposeProtoCasing", message, range));
    }
    if (word.slice(0, slash < 0 ? undefined : slash).includes(":")) {
      const message = `EXPOSE instruction should not define an IP address or host-port mapping, found '${word}'`;
      found.push(warning("ExposeInvalidFormat", message, range));
    }
  }
  return found;
}
