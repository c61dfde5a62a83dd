import { expect, test } from "bun:test";
import { flag } from "./flag.ts";
import { FlagError, parseFlags } from "./parse-flags.ts";

const FLAGS = {
  all: flag.bool("", { short: "a" }),
  interactive: flag.bool("", { short: "i" }),
  tty: flag.bool("", { short: "t" }),
  detach: flag.bool("", { short: "d" }),
  rm: flag.bool(""),
  "sig-proxy": flag.bool("", { default: true }),
  publish: flag.list("", { short: "p" }),
  env: flag.list("", { short: "e" }),
  name: flag.string(""),
  hostname: flag.string("", { short: "h" }),
  last: flag.int("", { short: "n", default: -1 }),
  weight: flag.uint(""),
  cpus: flag.decimal(""),
  memory: flag.bytes("", { short: "m" }),
  swap: flag.bytes("", { unlimited: true }),
  interval: flag.duration(""),
  filter: flag.filter("", { short: "f" }),
  platform: flag.strings(""),
  pull: flag.string("", { default: "missing", choices: ["always", "missing", "never"] }),
  sbom: flag.string("", { bare: "true" }),
} as const;

const parse = (line: string, interspersed = true) =>
  parseFlags(FLAGS, line === "" ? [] : line.split(" "), { interspersed });

const VALUES: readonly (readonly [line: string, values: Readonly<Record<string, unknown>>, positionals?: string[]])[] =
  [
    ["", { all: false, last: -1, publish: [], "sig-proxy": true, pull: "missing" }],
    ["-a", { all: true }],
    ["--all", { all: true }],
    ["--all=false", { all: false }],
    ["--rm=0", { rm: false }],
    ["--sig-proxy=F", { "sig-proxy": false }],
    ["-itd", { interactive: true, tty: true, detach: true }],
    ["-it=false", { interactive: true, tty: false }],
    ["-p80:80", { publish: ["80:80"] }],
    ["-p 80:80 -p=81:81 --publish 82:82 --publish=83", { publish: ["80:80", "81:81", "82:82", "83"] }],
    ["-itp 80:80", { interactive: true, tty: true, publish: ["80:80"] }],
    ["-itp80:80", { interactive: true, tty: true, publish: ["80:80"] }],
    ["--name web", { name: "web" }],
    ["--name=", { name: "" }],
    ["--name=a=b", { name: "a=b" }],
    ["--name -x", { name: "-x" }],
    ["-h box", { hostname: "box" }],
    ["-n 3", { last: 3 }],
    ["-n3", { last: 3 }],
    ["-n -1", { last: -1 }],
    ["--cpus 1.5", { cpus: 1_500_000_000 }],
    ["--cpus .25", { cpus: 250_000_000 }],
    ["-m 64m", { memory: 64 * 1024 * 1024 }],
    ["--memory=2g", { memory: 2 * 1024 ** 3 }],
    ["--swap -1", { swap: -1 }],
    ["--interval 1m30s", { interval: 90e9 }],
    ["-f name=a -f name=b -f label=x=y", { filter: { name: ["a", "b"], label: ["x=y"] } }],
    ["-f NAME=a", { filter: { name: ["a"] } }],
    ["--platform a,b --platform c", { platform: ["a", "b", "c"] }],
    ["--pull always", { pull: "always" }],
    ["--sbom", { sbom: "true" }],
    ["--sbom=false x", { sbom: "false" }, ["x"]],
    ["x -a y", { all: true }, ["x", "y"]],
    ["x -- -a", { all: false }, ["x", "-a"]],
    ["-", {}, ["-"]],
    ["-a -", { all: true }, ["-"]],
  ];

for (const [line, values, positionals = []] of VALUES) {
  test(`\`${line}\` is read as Docker reads it`, () => {
    const parsed = parse(line);
    expect(parsed.values).toMatchObject(values);
    expect(parsed.positionals).toEqual(positionals);
  });
}

const MISTAKES: readonly (readonly [line: string, message: string, suggestion?: string])[] = [
  ["--foo", "unknown flag: --foo"],
  ["--nam x", "unknown flag: --nam", "--name"],
  ["--publihs 80", "unknown flag: --publihs", "--publish"],
  ["-z", "unknown shorthand flag: 'z' in -z"],
  ["-az", "unknown shorthand flag: 'z' in -az"],
  ["-name x", 'invalid argument "ame" for "-n, --last" flag'],
  ["-rm", "unknown shorthand flag: 'r' in -rm", "--rm"],
  ["--name", "flag needs an argument: --name"],
  ["-p", "flag needs an argument: 'p' in -p"],
  ["-ip", "flag needs an argument: 'p' in -ip"],
  ["---x", "bad flag syntax: ---x"],
  ["--=x", "bad flag syntax: --=x"],
  ["--rm=maybe", 'invalid argument "maybe" for "--rm" flag: strconv.ParseBool: parsing "maybe": invalid syntax'],
  ["-n x", 'invalid argument "x" for "-n, --last" flag: strconv.ParseInt: parsing "x": invalid syntax'],
  ["-n 99999999999999999999", "value out of range"],
  ["--weight -1", 'invalid argument "-1" for "--weight" flag: strconv.ParseUint: parsing "-1": invalid syntax'],
  ["-f x", 'invalid argument "x" for "-f, --filter" flag: bad format of filter (expected name=value)'],
  ["-m x", "invalid size: 'x'"],
  ["--cpus x", "failed to parse x as a rational number"],
  ["--interval 3", "invalid duration: '3'"],
  ["--pull sometimes", "expected one of always, missing, never"],
  ['--platform "a', 'extraneous or missing " in quoted-field'],
];

for (const [line, message, suggestion] of MISTAKES) {
  test(`\`${line}\` is refused: ${message}`, () => {
    const error = mistakeOf(line);
    expect(error.message).toContain(message);
    expect(error.suggestion).toBe(suggestion);
  });
}

function mistakeOf(line: string): FlagError {
  try {
    parse(line);
  } catch (error) {
    if (error instanceof FlagError) return error;
    throw error;
  }
  throw new Error(`${line} was accepted`);
}

test("flags end at the first positional where the rest is the container's command", () => {
  const parsed = parse("-it image sh -c -a --foo", false);
  expect(parsed.values).toMatchObject({ interactive: true, tty: true, all: false });
  expect(parsed.positionals).toEqual(["image", "sh", "-c", "-a", "--foo"]);
});

test("-- ends the flags and disappears, also before the container's command", () => {
  expect(parse("-it -- image -a", false).positionals).toEqual(["image", "-a"]);
});

test("which flags were given is told apart from their defaults", () => {
  const parsed = parse("--pull missing --rm=false");
  expect([...parsed.given]).toEqual(["pull", "rm"]);
});

test("--help wins over mistakes that come after it", () => {
  expect(parse("--help --foo").help).toBe(true);
  expect(parse("-a --help").help).toBe(true);
});

test("random command lines are read or refused, nothing else", () => {
  const words = [
    "-",
    "--",
    "-a",
    "--all",
    "=",
    "-p",
    "x",
    "--name",
    "-it",
    "--=",
    "-=",
    "---",
    "-p=",
    "--rm=",
    "é",
    "\0",
    "-é",
  ];
  for (let seed = 0; seed < 3000; seed++) {
    const line = Array.from(
      { length: seed % 6 },
      (_, at) => words[(seed * 31 + at * 17 + (seed >> 3)) % words.length] ?? "",
    );
    try {
      parseFlags(FLAGS, line, { interspersed: seed % 2 === 0 });
    } catch (error) {
      expect(error).toBeInstanceOf(FlagError);
    }
  }
});
