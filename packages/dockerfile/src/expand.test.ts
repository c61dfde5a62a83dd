// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are the words under test
import { describe, expect, test } from "bun:test";
import { type EscapeCharacter, expand, expandHeredoc, expandWords } from "./index.ts";

const env = new Map([
  ["name", "slipway"],
  ["empty", ""],
  ["path", "/usr/local/lib/libx.so.1.2"],
  ["ref", "v1.2.3-rc.1"],
  ["blanks", "a  b c"],
  ["stars", "a*b?c"],
  ["größe", "42"],
]);

/** Word, then its value; `error: ...` is a part of the message. */
const TABLE: readonly (readonly [word: string, value: string])[] = [
  ["plain", "plain"],
  ["", ""],
  ["$name", "slipway"],
  ["${name}", "slipway"],
  ["a$name-b", "aslipway-b"],
  ["a${name}b", "aslipwayb"],
  ["$name_b", ""],
  ["$none", ""],
  ["[$none]", "[]"],
  ["$größe", "42"],
  ["$", "$"],
  ["a$", "a$"],
  ["$/x", "$/x"],
  ["$1x", "x"],
  ["$12x", "x"],
  ["${1}", ""],
  ["$?!", "!"],
  // Defaults.
  ["${name:-d}", "slipway"],
  ["${empty:-d}", "d"],
  ["${none:-d}", "d"],
  ["${name-d}", "slipway"],
  ["${empty-d}", ""],
  ["${none-d}", "d"],
  ["${none:-}", ""],
  ["${none:-$name}", "slipway"],
  ["${none:-${empty:-${name}}}", "slipway"],
  ["${none:-'a b'}", "a b"],
  ['${none:-"${name} x"}', "slipway x"],
  ["${none:-a}b}", "ab}"],
  ["${none:-\\}}", "}"],
  // Alternatives.
  ["${name:+d}", "d"],
  ["${empty:+d}", ""],
  ["${none:+d}", ""],
  ["${name+d}", "d"],
  ["${empty+d}", "d"],
  ["${none+d}", ""],
  // Demands.
  ["${name:?m}", "slipway"],
  ["${empty?m}", ""],
  ["${empty:?is needed}", "error: empty: is needed"],
  ["${none?is $name}", "error: none: is slipway"],
  ["${none?}", "error: none: is not allowed to be unset"],
  ["${empty:?}", "error: empty: is not allowed to be empty"],
  // Prefixes and suffixes.
  ["${path#*/}", "usr/local/lib/libx.so.1.2"],
  ["${path##*/}", "libx.so.1.2"],
  ["${path%/*}", "/usr/local/lib"],
  ["${path%%/*}", ""],
  ["${path%.*}", "/usr/local/lib/libx.so.1"],
  ["${ref#v}", "1.2.3-rc.1"],
  ["${ref#x}", "v1.2.3-rc.1"],
  ["${ref%-*}", "v1.2.3"],
  ["${ref#?}", "1.2.3-rc.1"],
  ["${ref#??.}", "2.3-rc.1"],
  ["${stars#a\\*}", "b?c"],
  ["${stars%\\?c}", "a*b"],
  ["${none#x}", ""],
  ["${ref#}", "v1.2.3-rc.1"],
  ["${name%$name}", ""],
  ["${ref#\\q}", "error: invalid escape"],
  ["${ref:#v}", "error: unsupported modifier"],
  ["${ref:%v}", "error: unsupported modifier"],
  // Replacements.
  ["${path/lib/LIB}", "/usr/local/LIB/libx.so.1.2"],
  ["${path//lib/LIB}", "/usr/local/LIB/LIBx.so.1.2"],
  ["${path//\\//:}", ":usr:local:lib:libx.so.1.2"],
  ["${ref/-*/}", "v1.2.3"],
  ["${ref//./-}", "v1-2-3-rc-1"],
  ["${ref//[0-9]/x}", "v1.2.3-rc.1"],
  ["${none/a/b}", ""],
  ["${name/x/$ref}", "slipway"],
  ["${name/slip/$ref}", "v1.2.3-rc.1way"],
  ["${name/s}", "error: a '/' is missing"],
  // Quotes and escapes.
  ["'$name'", "$name"],
  ['"$name"', "slipway"],
  ["\"'$name'\"", "'slipway'"],
  ["'\"'", '"'],
  ["a\\ b", "a b"],
  ["\\$name", "$name"],
  ["\\\\$name", "\\slipway"],
  ['"\\$name"', "$name"],
  ['"\\n"', "\\n"],
  ["\\n", "n"],
  ["'\\n'", "\\n"],
  ["x\\", "x"],
  ["a'b c'd", "ab cd"],
  // Mistakes.
  ["'a", "error: a single quote is not closed"],
  ['"a', "error: a double quote is not closed"],
  ['"a\\', "error: a double quote is not closed"],
  ["${name", "error: a '}' is missing"],
  ["${", "error: a '}' is missing"],
  ["${}", "error: a variable without a name"],
  ["${:-x}", "error: a variable without a name"],
  ["${{x}}", "error: a variable without a name"],
  ["${name:x}", "error: unsupported modifier (:x)"],
  ["${name=x}", "error: unsupported modifier (=)"],
  ["${name[0]}", "error: unsupported modifier ([)"],
  ["${.}", "error: unsupported modifier (.)"],
];

function value(work: () => string): string {
  try {
    return work();
  } catch (error) {
    return `error: ${error instanceof Error ? error.message : error}`;
  }
}

function check(got: string, wanted: string): void {
  if (wanted.startsWith("error: ")) {
    expect(got).toStartWith("error: ");
    expect(got).toContain(wanted.slice(7));
  } else expect(got).toBe(wanted);
}

describe("expand", () => {
  test.each(TABLE)("%s is %s", (word, wanted) => {
    check(
      value(() => expand(word, env).value),
      wanted,
    );
  });

  test.each([
    ["`$name", "$name"],
    ["c:\\dir\\$name", "c:\\dir\\slipway"],
    ['"a`"b"', 'a"b'],
    ['"a\\b"', "a\\b"],
    ["a` b", "a b"],
  ])("with the escape directive, %s is %s", (word, wanted) => {
    check(
      value(() => expand(word, env, "`" satisfies EscapeCharacter).value),
      wanted,
    );
  });

  test("says which variables a word used, and which of them had no value", () => {
    const { used, undefined: unset } = expand("$name ${none:-$other} ${empty:+$never} '$quoted' \\$escaped", env);
    expect([...used].sort()).toEqual(["empty", "name", "never", "none", "other"]);
    expect([...unset].sort()).toEqual(["never", "none", "other"]);
  });

  test("refuses words that would take the stack or the processor", () => {
    expect(() => expand("${a:-".repeat(5000) + "}".repeat(5000), env)).toThrow("nested too deeply");
    const long = new Map([["long", "a".repeat(30_000)]]);
    const start = performance.now();
    expect(expand(`\${long#${"*a".repeat(50)}b}`, long).value).toHaveLength(30_000);
    expect(performance.now() - start).toBeLessThan(500);
    expect(() => expand("${long#a}", new Map([["long", "a".repeat(100_000)]]))).toThrow("too long for a pattern");
  });
});

describe("expandWords", () => {
  test.each([
    ["$name", ["slipway"]],
    ["a $name b", ["a", "slipway", "b"]],
    ["$blanks", ["a", "b", "c"]],
    ["x$blanks", ["xa", "b", "c"]],
    ['"$blanks"', ["a  b c"]],
    ["a\\ b c", ["a b", "c"]],
    ["'a b' c", ["a b", "c"]],
    ["$none", []],
    ["", []],
    ["${none:-x y} z", ["x", "y", "z"]],
  ])("%s has the words %j", (word, words) => {
    expect(expandWords(word, env).words).toEqual(words);
  });
});

describe("expandHeredoc", () => {
  test.each([
    ["say \"$name\" and '$name'\n", "say \"slipway\" and 'slipway'\n"],
    ["it's ${none:-fine}\n", "it's fine\n"],
    ["\\$name\n", "$name\n"],
    ["\\\n", "\n"],
    ["\\\\\n", "\\\n"],
    ["no variables, no \"changes'\n", "no variables, no \"changes'\n"],
  ])("%j becomes %j", (content, wanted) => {
    expect(expandHeredoc(content, env).value).toBe(wanted);
  });
});
