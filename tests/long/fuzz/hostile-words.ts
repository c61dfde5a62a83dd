import type { Random } from "@slipway/testkit";

/** Words for places where a path, a name or a value is expected. */
export class HostileWords {
  readonly #random: Random;
  readonly #canary: string;

  constructor(random: Random, canary: string) {
    this.#random = random;
    this.#canary = canary;
  }

  path(): string {
    const { pick, below } = this.#bound();
    const target = pick([this.#canary, `${this.#canary}/file`, `${this.#canary}/below`, "/etc/passwd", "/etc"]);
    const depth = below(24);
    return pick([
      target,
      "../".repeat(depth) + target.slice(1),
      `/tmp/../../../..${target}`,
      `${"./".repeat(depth)}a/../..${target}`,
      `link${depth % 4}${target}`,
      `link${depth % 4}/x`,
      `link${depth % 4}`,
      `/proc/1/root${target}`,
      `/proc/self/root/proc/1/cwd${target}`,
      `/dev/fd/3${target}`,
      `${"d/".repeat(depth * 40)}x`,
      `${"n".repeat(depth * 20)}`,
      `a\0${target}`,
      `\u202e${target}\ud800`,
      "",
      ".",
      "..",
      "/",
      "//",
      "tmp",
      "tmp/swap/file",
      "/tmp/swap/../../..",
      "..\\..\\windows",
      "%2e%2e%2f%2e%2e%2fetc",
    ]);
  }

  name(): string {
    const { pick, below } = this.#bound();
    return pick([
      () => this.path(),
      () => "a".repeat(below(300)),
      () => "x".repeat(100_000),
      () => pick(["__proto__", "constructor", "hasOwnProperty", "toString", "null", "undefined", "NaN", "-1"]),
      () => pick(["--help", "-f", "$(touch /tmp/x)", "`id`", "; reboot", "a b", "a\nb", "a\tb", "é", "💥", "'\"<>&"]),
      () => String(below(2 ** 31)),
      () => Buffer.from(this.#random.bytes(below(40))).toString("latin1"),
      () => pick(["target", "stopped", "bystander", "target/../stopped", "targe", "t"]),
    ])();
  }

  /** A JSON value that was not expected. */
  value(depth = 0): unknown {
    const { pick, below } = this.#bound();
    return pick<() => unknown>([
      () => null,
      () => true,
      () => pick([0, -1, 1e308, -1e308, 2 ** 63, 0.5, -0, 2 ** 53]),
      () => this.name(),
      () => this.path(),
      () => [],
      () => ({}),
      () => (depth > 3 ? [] : Array.from({ length: below(6) }, () => this.value(depth + 1))),
      () =>
        depth > 3
          ? {}
          : Object.fromEntries(Array.from({ length: below(5) }, () => [this.name(), this.value(depth + 1)])),
      () => JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}') as unknown,
      () => Array.from({ length: 5000 }, () => "x"),
    ])();
  }

  /** A document with some of its parts replaced by what does not belong there. */
  twist(document: unknown): unknown {
    if (this.#random.chance(0.12)) return this.value();
    if (Array.isArray(document)) return document.map((each) => this.twist(each));
    if (typeof document !== "object" || document === null) return document;
    return Object.fromEntries(Object.entries(document).map(([key, value]) => [key, this.twist(value)]));
  }

  /** Text that is nearly JSON. */
  brokenJson(): string {
    const { pick } = this.#bound();
    return pick([
      () => "[".repeat(200_000),
      () => '{"a":'.repeat(50_000),
      () => "{",
      () => "",
      () => "\0\0\0",
      () => `{"Image":"slipway/base"`,
      () => `{"Image":"${"x".repeat(3_000_000)}"}`,
      () => JSON.stringify(this.value()),
      () => `{"Cmd":[${'"x",'.repeat(200_000)}"x"]}`,
      () => "NaN",
      () => '"text"',
      () => "[]",
    ])();
  }

  #bound() {
    return {
      pick: <T>(items: readonly T[]): T => this.#random.pick(items),
      below: (limit: number): number => (limit <= 0 ? 0 : this.#random.below(limit)),
    };
  }
}
