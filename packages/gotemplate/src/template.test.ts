import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Float, GO_TYPE, HEADER_FUNCTIONS, Template, TemplateError, TypedNil } from "./index.ts";

interface Case {
  readonly template: string;
  readonly missingKey?: "error";
  readonly out?: string;
  readonly error?: string;
}

const golden = (name: string): string => readFileSync(join(import.meta.dir, "../golden", name), "utf8");
const data: unknown = JSON.parse(golden("data.json"));

// What Go 1.26's text/template says to the same templates and data.
for (const { template, missingKey, out, error } of JSON.parse(golden("cases.json")) as Case[]) {
  const name = JSON.stringify(template) + (missingKey === undefined ? "" : " where a missing key is an error");
  test(`${name} gives what Go gives`, () => {
    expect<unknown>(attempt(template, missingKey)).toEqual(out === undefined ? { error } : { out });
  });
}

function attempt(template: string, missingKey: "error" | "default" = "default"): { out?: string; error?: string } {
  try {
    return { out: Template.parse(template, { missingKey }).execute(data) };
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return { error: error.message };
  }
}

const run = (template: string, value: unknown) => Template.parse(template).execute(value);

test("a function in a field is a method that takes arguments", () => {
  const row = { Label: (name: unknown) => `<${String(name)}>`, Name: () => "web" };
  expect(run('{{.Label "a"}} {{.Name}} {{"b" | .Label}}', row)).toBe("<a> web <b>");
  expect(() => run("{{.Label}}", row)).toThrow("wrong number of args for Label: want 1 got 0");
});

test("a prototype supplies fields that are neither printed nor ranged over nor encoded", () => {
  const document: object = Object.assign(
    Object.create({ Health: new TypedNil("pointer"), Cmd: new TypedNil("slice") }),
    { A: 1 },
  );
  expect(run("{{.Health}} {{.Cmd}} {{if .Health}}x{{end}}{{len .Cmd}} {{json .}} {{.}}", document)).toBe(
    '<nil> [] 0 {"A":1} map[A:1]',
  );
});

test("nothing of Object.prototype is a field", () => {
  expect(run("{{.constructor}} {{.toString}} {{.__proto__}}", { A: 1 })).toBe("<no value> <no value> <no value>");
  expect(run('{{index . "constructor"}}', {})).toBe("<no value>");
});

test("an object that stands for a struct has no other fields", () => {
  const row = Object.assign(Object.create({ [GO_TYPE]: "*formatter.Row" }), { ID: "1" });
  expect(run("{{.ID}}", row)).toBe("1");
  expect(() => run("{{.Id}}", row)).toThrow("can't evaluate field Id in type *formatter.Row");
});

test("whole floats are told apart from integers", () => {
  expect(run('{{printf "%.1f %T" .F .F}} {{.F}}', { F: new Float(2) })).toBe("2.0 float64 2");
});

test("integers beyond 2^53 keep their digits", () => {
  expect(run("{{.N}} {{9007199254740993}} {{eq .N 9007199254740993}}", { N: 9007199254740993n })).toBe(
    "9007199254740993 9007199254740993 true",
  );
});

test("the functions of a heading leave the column's name as it is", () => {
  const heading = Template.parse("{{upper .ID}}\t{{truncate .Names 3}}\t{{json .Labels}}", {
    functions: HEADER_FUNCTIONS,
  });
  expect(heading.execute({ ID: "CONTAINER ID", Names: "NAMES", Labels: "LABELS" })).toBe("CONTAINER ID\tNAMES\tLABELS");
});

test("text without actions comes back as it is", () => {
  const pieces = ["a", " ", "\n", "{", "}", "}}", "é", "☃", "\\", '"', "`", "$", ".", "-", "/*"];
  for (let seed = 0; seed < 500; seed++) {
    const text = random(seed, pieces).replaceAll("{{", "{ {");
    expect(run(text, data)).toBe(text);
  }
});

test("a string literal survives quoting and printing", () => {
  const pieces = ["a", '"', "\\", "\n", "\t", "\x01", "é", "\u2028", "😀", "{{", "}}"];
  for (let seed = 0; seed < 500; seed++) {
    const text = random(seed, pieces);
    const quoted = run('{{printf "%q" .}}', text);
    expect(run(`{{print ${quoted}}}`, undefined)).toBe(text);
  }
});

test("hostile templates end with an error of the template, never with another one", () => {
  const pieces = [
    "{{",
    "}}",
    "{{-",
    "-}}",
    " ",
    ".",
    ".A",
    "$",
    "$x",
    ":=",
    "=",
    "|",
    "(",
    ")",
    ",",
    '"s"',
    "`r`",
    "'c'",
    "1",
    "-1.5",
  ];
  const words = [
    "if",
    "else",
    "end",
    "range",
    "with",
    "define",
    "template",
    "block",
    "break",
    "print",
    "index",
    "len",
    "nil",
    "eq",
  ];
  for (let seed = 0; seed < 5000; seed++) {
    try {
      run(random(seed, [...pieces, ...words.map((word) => ` ${word} `)]), data);
    } catch (error) {
      expect(error).toBeInstanceOf(TemplateError);
    }
  }
});

test("a template cannot fill the memory", () => {
  const doubling = `{{define "d"}}{{range 40000}}${"x".repeat(4000)}{{end}}{{end}}{{template "d"}}`;
  expect(() => run(doubling, undefined)).toThrow("the output is too long");
  expect(() => run(`${"(".repeat(5000)}`, undefined)).not.toThrow();
  expect(() => run(`{{${"(".repeat(5000)}1${")".repeat(5000)}}}`, undefined)).toThrow("max expression depth exceeded");
});

/** A repeatable random text of up to 24 pieces. */
function random(seed: number, pieces: readonly string[]): string {
  let state = seed * 2654435761 + 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return Array.from({ length: Math.floor(next() * 24) }, () => pieces[Math.floor(next() * pieces.length)] ?? "").join(
    "",
  );
}
