import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeFileAtomic } from "./atomic-file.ts";
import { describeError, errorCode, SlipwayError } from "./errors.ts";
import { EventBus } from "./event-bus.ts";
import { randomId, shortId } from "./ids.ts";
import { JsonReader } from "./json-reader.ts";
import { createLogger } from "./logger.ts";

const directory = mkdtempSync(join(tmpdir(), "base-"));
afterAll(() => rmSync(directory, { recursive: true }));

test("a JSON reader names the field that is wrong", () => {
  const reader = JsonReader.parse('{"a": {"list": [{"n": "x"}]}}', "document");
  expect(() => reader.field("a").field("list").array()[0]?.field("n").number()).toThrow(
    "document: a: list[0]: n: expected a number, got string",
  );
});

test("a JSON reader treats absent and null as absent", () => {
  const reader = JsonReader.parse('{"nothing": null}', "document");
  expect(reader.field("nothing").field("below").optionalString()).toBeUndefined();
  expect(reader.field("missing").array()).toEqual([]);
  expect(() => reader.field("missing").string()).toThrow("document: missing: expected a string, got undefined");
});

test("a JSON reader does not see inherited properties", () => {
  expect(JsonReader.parse("{}", "document").field("constructor").optional()).toBeUndefined();
  expect(JsonReader.parse('{"__proto__": "x"}', "document").field("__proto__").string()).toBe("x");
});

test("text that is not JSON is refused with the document's name", () => {
  expect(() => JsonReader.parse("{", "image config")).toThrow("image config is not JSON");
});

test("sizes must be natural numbers", () => {
  for (const text of ["-1", "1.5", "1e300", '"1"']) {
    expect(() => new JsonReader(JSON.parse(text), "size").natural()).toThrow("expected a natural number");
  }
});

test("an atomic write replaces the content, sets the mode and leaves no temporary file", () => {
  const path = join(directory, "file");
  writeFileAtomic(path, "old");
  writeFileAtomic(path, "new", { mode: 0o600 });
  expect(readFileSync(path, "utf8")).toBe("new");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(["file"]);
});

test("a failed atomic write leaves the old content", () => {
  const path = join(directory, "kept");
  writeFileAtomic(path, "old");
  chmodSync(path, 0o644);
  expect(() => writeFileAtomic(join(directory, "no", "such"), "x")).toThrow("ENOENT");
  expect(readFileSync(path, "utf8")).toBe("old");
});

test("errors keep code, hint and cause", () => {
  const error = new SlipwayError("not-found", "no such image: x", { hint: "Load it.", cause: new Error("inner") });
  expect(errorCode(error)).toBe("not-found");
  expect(describeError(error)).toBe("no such image: x\nLoad it.");
  expect((error.cause as Error).message).toBe("inner");
});

test("a full disk, an abort and a timeout have their own codes", () => {
  expect(errorCode(Object.assign(new Error("x"), { code: "ENOSPC" }))).toBe("exhausted");
  expect(errorCode(AbortSignal.abort().reason)).toBe("cancelled");
  expect(errorCode(new DOMException("late", "TimeoutError"))).toBe("deadline");
  expect(errorCode("anything")).toBe("internal");
});

test("a listener that throws does not disturb the others", () => {
  const failures: unknown[] = [];
  const bus = new EventBus<number>((error) => failures.push(error));
  const seen: number[] = [];
  bus.subscribe(() => {
    throw new Error("bad listener");
  });
  const leave = bus.subscribe((n) => seen.push(n));
  bus.publish(1);
  leave();
  bus.publish(2);
  expect(seen).toEqual([1]);
  expect(failures).toHaveLength(2);
});

test("a logger drops what is below its level and carries its fields", () => {
  const lines: string[] = [];
  const log = createLogger({ level: "info", format: "json", write: (line) => lines.push(line) }).with({
    container: "c1",
  });
  log.debug("quiet");
  log.warn("loud", { error: new Error("why") });
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: "warn", msg: "loud", container: "c1", error: "why" },
  ]);
});

test("IDs have 64 digits, and their short form is never a number", () => {
  for (let i = 0; i < 1000; i++) {
    const id = randomId();
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(shortId(id)).toMatch(/[a-f]/);
  }
  expect(shortId(`sha256:${"ab".repeat(32)}`)).toBe("abababababab");
});
