import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isError } from "@slipway/base";
import { type Dockerfile, type MountFlag, parseDockerfile, resolveMount, type SourceRange } from "./index.ts";

/**
 * Each directory of `golden/` is a Dockerfile with what it means (`expected.json`) or why it is refused (`error.txt`).
 * `SLIPWAY_UPDATE_GOLDEN=1` writes them anew, to be read before they are committed.
 */
const GOLDEN = join(import.meta.dir, "..", "golden");
const UPDATE = process.env.SLIPWAY_UPDATE_GOLDEN === "1";
const names = readdirSync(GOLDEN).sort();

describe("golden Dockerfiles", () => {
  test("there are more than 150 of them", () => {
    expect(names.length).toBeGreaterThan(150);
  });
  for (const name of names) {
    test(name, () => {
      const directory = join(GOLDEN, name);
      const result = outcome(readFileSync(join(directory, "Dockerfile")));
      const file = join(directory, result.file);
      if (UPDATE) writeFileSync(file, result.text);
      expect(existsSync(file), `${result.file} is missing: ${result.text}`).toBe(true);
      expect(result.text).toBe(readFileSync(file, "utf8"));
    });
  }
});

function outcome(text: Uint8Array): { file: string; text: string } {
  try {
    return { file: "expected.json", text: `${render(simplified(parseDockerfile(text)))}\n` };
  } catch (error) {
    if (!isError(error, "invalid")) throw error;
    return { file: "error.txt", text: `${error.message}${error.hint === undefined ? "" : `\n${error.hint}\n`}` };
  }
}

function simplified(dockerfile: Dockerfile): object {
  const { directives, globalArgs, stages, warnings } = dockerfile;
  return {
    ...(directives.syntax === undefined ? {} : { syntax: directives.syntax }),
    ...(directives.escape === "\\" ? {} : { escape: directives.escape }),
    ...(JSON.stringify(directives.check) === '{"skip":[],"error":false,"experimental":[]}'
      ? {}
      : { check: directives.check }),
    ...(globalArgs.length === 0 ? {} : { globalArgs }),
    stages: stages.map(({ index: _index, ...stage }) => stage),
    ...(warnings.length === 0
      ? {}
      : { warnings: warnings.map(({ rule, message, range }) => `${place(range)} ${rule}: ${message}`) }),
  };
}

/** One instruction a line, places as `3` or `3-5` or `3:7-12`, what is empty left out. */
function render(value: unknown): string {
  const short = JSON.stringify(value, (key, inner: unknown) => {
    if (key === "range") return place(inner as SourceRange);
    const empty =
      (inner === false && key !== "unpack" && key !== "keepGitDir") ||
      (Array.isArray(inner) && inner.length === 0 && key !== "args");
    const usual = (key === "network" && inner === "default") || (key === "security" && inner === "sandbox");
    if (empty || usual) return undefined;
    return key === "mounts" ? (inner as readonly MountFlag[]).map(resolved) : inner;
  });
  return short
    .replace(/\{"(?=kind":)/g, '\n    {"')
    .replace(/\{"(?=from":\n)/g, '\n  {"')
    .replace(/"warnings":/, '\n"warnings":');
}

/** What a mount means, as far as that is known without variables. */
function resolved(mount: MountFlag): object {
  const { range, text, from } = mount;
  if (text.includes("$")) return { range, text, ...(from === undefined ? {} : { from }) };
  return { range, ...resolveMount(mount, (value) => value) };
}

function place({ startLine, endLine, startColumn, endColumn }: SourceRange): string {
  if (startColumn !== undefined) return `${startLine}:${startColumn}-${endColumn}`;
  return startLine === endLine ? `${startLine}` : `${startLine}-${endLine}`;
}
