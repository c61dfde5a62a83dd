import { describe, expect, test } from "bun:test";
import { isError } from "@slipway/base";
import {
  globPattern,
  IgnoreMatcher,
  ignoreFileCandidates,
  ignorePatterns,
  parseIgnoreFile,
  sourceText,
} from "./index.ts";

function matcher(...lines: string[]): IgnoreMatcher {
  return new IgnoreMatcher(parseIgnoreFile(lines.join("\n")));
}

/** Lines of the file, a path, and whether it is hidden. */
const TABLE: readonly (readonly [lines: string, path: string, hidden: boolean])[] = [
  ["a", "a", true],
  ["a", "b", false],
  ["a", "a/b/c", true],
  ["a", "b/a", false],
  ["/a", "a", true],
  ["/a", "b/a", false],
  ["a/", "a", true],
  ["a/", "a/b", true],
  ["./a", "a", true],
  ["a/./b//c", "a/b/c", true],
  ["x/../a", "a", true],
  ["../a", "a", false],
  ["  a  ", "a", true],
  ["a b", "a b", true],
  [".", "a", false],
  ["/", "a", false],
  ["./", "a", false],
  ["*", "a", true],
  ["*", ".hidden", true],
  ["*", "a/b", true],
  ["*.o", "x.o", true],
  ["*.o", "d/x.o", false],
  ["*/x.o", "d/x.o", true],
  ["*/*.o", "d/e/x.o", false],
  ["d/*", "d/e/f", true],
  ["d/*", "d", false],
  ["a?c", "abc", true],
  ["a?c", "a/c", false],
  ["a?c", "a☃c", true],
  ["?", "👽", true],
  ["[ab]c", "bc", true],
  ["[^ab]c", "bc", false],
  ["[^ab]c", "xc", true],
  ["[a-c]x", "bx", true],
  ["[\\]]", "]", true],
  ["[\\-x]", "-", true],
  ["a\\*b", "a*b", true],
  ["a\\*b", "axb", false],
  ["a.b", "axb", false],
  ["a+(b)|{c}$^", "a+(b)|{c}$^", true],
  ["**", "a/b/c", true],
  ["**/x", "x", true],
  ["**/x", "a/b/x", true],
  ["**/x", "a/b/x/y", true],
  ["**/x", "ax", false],
  ["**x", "a/bx", true],
  ["**/*.log", "a/b/c.log", true],
  ["**/*.log", "c.log", true],
  ["a/**", "a/b/c", true],
  ["a/**", "a", false],
  ["a/**/b", "a/b", true],
  ["a/**/b", "a/x/y/b", true],
  ["a/**/b", "a/x/y/c", false],
  ["a**/b", "abc/d/b", true],
  ["**/a/**/b", "x/a/y/b", true],
  ["**/node_modules", "p/node_modules/q/r", true],
  // Comments, blank lines, order.
  ["# a\na", "a", true],
  ["#a", "#a", false],
  [" #a", "#a", true],
  ["\\#a", "#a", true],
  ["\n\n  \na", "a", true],
  ["a\n!a", "a", false],
  ["!a\na", "a", true],
  ["a\n! a", "a", false],
  ["a\n!/a", "a", false],
  ["*\n!keep", "keep", false],
  ["*\n!keep", "keep/x", false],
  ["*\n!keep\nkeep/x", "keep/x", true],
  ["*\n!keep\nkeep/x", "keep/y", false],
  ["docs\n!docs/README.md", "docs/README.md", false],
  ["docs\n!docs/README.md", "docs/other.md", true],
  ["docs/\n!docs/README.md", "docs/README.md", false],
  ["**\n!src\nsrc/**/*.test.ts", "src/a/b.test.ts", true],
  ["**\n!src\nsrc/**/*.test.ts", "src/a/b.ts", false],
  ["**\n!src\nsrc/**/*.test.ts", "lib/a.ts", true],
  ["*.md\n!README*.md\nREADME-secret.md", "README.md", false],
  ["*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true],
  ["*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false],
];

describe("the rules of an ignore file", () => {
  test.each(TABLE)("%j hides %j: %p", (lines, path, hidden) => {
    expect(matcher(lines).ignores(path)).toBe(hidden);
  });

  test("a path may be asked in any order and with outer slashes", () => {
    const rules = matcher("a", "!a/b/c", "a/b/c/d");
    expect(rules.ignores("a/b/c/d")).toBe(true);
    expect(rules.ignores("/a/b/c/")).toBe(false);
    expect(rules.ignores("./a/b")).toBe(true);
    expect(rules.ignores(".")).toBe(false);
    expect(rules.ignores("")).toBe(false);
  });

  test("the pattern that hides a path is named with its line", () => {
    const rules = matcher("# build results", "", "dist", "!dist/keep", "*.log");
    expect(rules.explain("dist/a/b")).toMatchObject({ pattern: "dist", file: ".dockerignore", line: 3 });
    expect(rules.explain("x.log")).toMatchObject({ pattern: "*.log", line: 5 });
    expect(rules.explain("dist/keep/x")).toBeUndefined();
    expect(rules.explain("src")).toBeUndefined();
  });

  test("CRLF and a byte order mark change nothing", () => {
    expect(new IgnoreMatcher(parseIgnoreFile("\ufeffa\r\nb\r\n")).patterns.map(({ pattern }) => pattern)).toEqual([
      "a",
      "b",
    ]);
    expect(parseIgnoreFile(new TextEncoder().encode("\ufeff# c\na"))).toHaveLength(1);
  });

  test("no rules hide nothing", () => {
    expect(matcher("", "# only this").empty).toBe(true);
    expect(matcher("").ignores("a")).toBe(false);
  });
});

describe("pruning", () => {
  test.each([
    ["node_modules", "node_modules", true],
    ["node_modules", "src", false],
    ["**/node_modules", "a/node_modules", true],
    ["*", "any", true],
    ["*\n!src", "src", false],
    ["*\n!src", "lib", true],
    ["*\n!src/a/b", "src", false],
    ["*\n!src/a/b", "src/a", false],
    ["*\n!src/a/b", "src/x", true],
    ["*\n!src/a/b", "src/a/x", true],
    ["*\n!*/keep", "any", false],
    ["*\n!*/keep", "any/deeper", true],
    ["*\n!**/keep", "any/deeper", false],
    ["*\n!src/**/keep", "src/x/y", false],
    ["*\n!src/**/keep", "lib", true],
    ["!src/keep\n*", "src", true],
    ["*\n!src/keep\nsrc", "src", true],
    ["*\n!s[rx]c/keep", "src", false],
  ])("with %j the directory %j can be skipped: %p", (lines, directory, skipped) => {
    expect(matcher(lines).canPrune(directory)).toBe(skipped);
  });

  test("what is pruned hides everything below it, whatever the rules", () => {
    const random = generator(7);
    const names = ["a", "b", "c", "ab"];
    const parts = [...names, "*", "**", "a*", "?", "[ab]"];
    for (let round = 0; round < 3000; round++) {
      const rules = matcher(
        ...pick(
          random,
          1,
          4,
          () => (random() < 0.4 ? "!" : "") + pick(random, 1, 3, () => one(random, parts)).join("/"),
        ),
      );
      const directory = pick(random, 1, 2, () => one(random, names)).join("/");
      if (!rules.canPrune(directory)) continue;
      for (const below of ["a", "b/c", "ab", "c/a/b", "a/a"]) {
        expect(rules.ignores(`${directory}/${below}`), `${JSON.stringify(rules.patterns)} ${directory}/${below}`).toBe(
          true,
        );
      }
    }
  });
});

describe("mistakes", () => {
  test.each(["!", "! ", "[a", "a[", "[]", "[^", "[a-]", "[-a]", "[z-a]", "a\\"])(
    "%j is refused with its line",
    (line) => {
      try {
        parseIgnoreFile(`ok\n${line}`, "x.dockerignore");
        expect.unreachable();
      } catch (error) {
        if (!isError(error, "invalid")) throw error;
        expect(error.details.source).toMatchObject({ file: "x.dockerignore", startLine: 2, endLine: 2 });
        expect(error.message).toContain("x.dockerignore:2");
        expect(error.hint).toBeString();
      }
    },
  );
});

test("the file beside the Dockerfile comes before the one of the context", () => {
  expect(ignoreFileCandidates("docker/app.Dockerfile")).toEqual([
    "docker/app.Dockerfile.dockerignore",
    ".dockerignore",
  ]);
});

test("COPY --exclude uses the same patterns", () => {
  const source = sourceText("Dockerfile", "FROM a\nCOPY --exclude=*.o --exclude=!b.o . /");
  const rules = new IgnoreMatcher(
    ignorePatterns(["*.o", "!b.o"], source, { file: "Dockerfile", startLine: 2, endLine: 2 }),
  );
  expect([rules.ignores("a.o"), rules.ignores("b.o")]).toEqual([true, false]);
});

test("10,000 paths take no time that a person could notice", () => {
  const rules = matcher(
    "node_modules",
    "**/*.log",
    "!keep.log",
    "dist/**",
    "*.tmp",
    ".git",
    "docs/*.md",
    "!docs/README.md",
    "**/test?/*.snap",
    "vendor/**/testdata",
  );
  const paths = Array.from({ length: 10_000 }, (_, index) => `src/part${index % 100}/deep${index % 7}/file${index}.ts`);
  const start = performance.now();
  expect(paths.filter((path) => rules.ignores(path))).toHaveLength(0);
  // Measured 5 ms; the bound leaves room for a busy machine.
  expect(performance.now() - start).toBeLessThan(60);
});

function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

function one<T>(random: () => number, from: readonly T[]): T {
  const value = from[Math.floor(random() * from.length)];
  if (value === undefined) throw new Error("nothing to pick from");
  return value;
}

function pick<T>(random: () => number, least: number, most: number, make: () => T): T[] {
  return Array.from({ length: least + Math.floor(random() * (most - least + 1)) }, make);
}

describe("path patterns", () => {
  /** The plainest matcher there can be, to compare with: exponential, and right. */
  function matches(pattern: string, path: string): boolean {
    if (pattern === "") return path === "";
    const rests = Array.from({ length: path.length + 1 }, (_, cut) => cut);
    if (pattern.startsWith("**")) {
      const rest = pattern.slice(2);
      if (rest.startsWith("/") && rest.length > 1) {
        return rests.some((cut) => (cut === 0 || path[cut - 1] === "/") && matches(rest.slice(1), path.slice(cut)));
      }
      return rests.some((cut) => matches(rest === "/" ? "" : rest, path.slice(cut)));
    }
    if (pattern.startsWith("*")) {
      return rests.some((cut) => !path.slice(0, cut).includes("/") && matches(pattern.slice(1), path.slice(cut)));
    }
    if (path === "") return false;
    const [set = "", rest] = pattern.startsWith("[")
      ? [pattern.slice(0, pattern.indexOf("]") + 1), pattern.slice(pattern.indexOf("]") + 1)]
      : [pattern[0], pattern.slice(1)];
    return new RegExp(set === "?" ? "[^/]" : set).test(path[0] ?? "") && matches(rest, path.slice(1));
  }

  test("mean the same as a plain matcher says, with few stars and with many", () => {
    const random = generator(11);
    const parts = ["a", "b", "/", "*", "*", "**", "**/", "?", "[ab]", "[^a]"];
    let matching = 0;
    for (let round = 0; round < 10_000; round++) {
      const pattern = pick(random, 1, 8, () => one(random, parts)).join("");
      const path = pick(random, 0, 6, () => one(random, ["a", "b", "c", "/"])).join("");
      const wanted = matches(pattern, path);
      if (wanted) matching++;
      expect(globPattern(pattern, { doubleStar: true }).test(path), `${pattern} on ${path}`).toBe(wanted);
    }
    expect(matching).toBeGreaterThan(500);
  });

  test("with many stars take no time on a path that nearly matches", () => {
    const rules = matcher(`${"*a".repeat(30)}b`, `${"**/a".repeat(20)}/x`, `${"*".repeat(9)}b*c*d`);
    const start = performance.now();
    expect(rules.ignores("a".repeat(4000))).toBe(false);
    expect(rules.ignores("a/".repeat(300))).toBe(false);
    expect(performance.now() - start).toBeLessThan(1000);
  });
});
