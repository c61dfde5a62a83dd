import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

export const REPOSITORY = join(import.meta.dir, "../..");
const PACKAGES = join(REPOSITORY, "packages");

export interface Import {
  readonly file: string;
  readonly line: number;
  readonly specifier: string;
}

export function packageNames(): string[] {
  return readdirSync(PACKAGES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

/** Every import of a package's shipped sources, static, dynamic and type-only; tests and what serves them (`testing/`) are left out. */
export function importsOf(packageName: string): Import[] {
  const sources = join(PACKAGES, packageName, "src");
  return readdirSync(sources, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name) && !/\.test\.tsx?$|(^|\/)testing\//.test(name))
    .flatMap((name) => importsIn(join(sources, name)));
}

/** `import ... from "x"` and `export ... from "x"` (also their last line alone), `import "x"`, `import("x")`. */
const IMPORT = /^(?:(?:import|export)\b.*?|\}) from "([^"]+)";$|^import "([^"]+)";$|\bimport\("([^"]+)"\)/;

function importsIn(path: string): Import[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .flatMap((text, index) => {
      const match = IMPORT.exec(text);
      const specifier = match?.[1] ?? match?.[2] ?? match?.[3];
      return specifier === undefined ? [] : [{ file: relative(REPOSITORY, path), line: index + 1, specifier }];
    });
}
