import { SlipwayError } from "./errors.ts";

/**
 * Reads a document of unknown shape, field by field, and says which field was wrong.
 *
 * ```ts
 * const doc = JsonReader.parse(bytes, "image config");
 * const os = doc.field("os").string();            // throws invalid: image config: os: expected a string, got number
 * const user = doc.field("config").optional()?.field("User").optionalString();
 * ```
 */
export class JsonReader {
  readonly value: unknown;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    this.value = value;
    this.#path = path;
  }

  /** Parses JSON text. Throws `invalid` that names `what`. */
  static parse(text: string | Uint8Array, what: string): JsonReader {
    try {
      return new JsonReader(JSON.parse(typeof text === "string" ? text : new TextDecoder().decode(text)), what);
    } catch (error) {
      throw new SlipwayError("invalid", `${what} is not JSON: ${(error as Error).message}`, { cause: error });
    }
  }

  field(name: string): JsonReader {
    if (this.value === undefined || this.value === null) return new JsonReader(undefined, `${this.#path}: ${name}`);
    const object = this.object();
    return new JsonReader(Object.hasOwn(object, name) ? object[name] : undefined, `${this.#path}: ${name}`);
  }

  /** This reader, or undefined when the value is absent or null. */
  optional(): JsonReader | undefined {
    return this.value === undefined || this.value === null ? undefined : this;
  }

  object(): Readonly<Record<string, unknown>> {
    if (typeof this.value !== "object" || this.value === null || Array.isArray(this.value)) this.#fail("an object");
    return this.value as Record<string, unknown>;
  }

  string(): string {
    if (typeof this.value !== "string") this.#fail("a string");
    return this.value;
  }

  optionalString(): string | undefined {
    return this.optional()?.string();
  }

  number(): number {
    if (typeof this.value !== "number") this.#fail("a number");
    return this.value;
  }

  optionalNumber(): number | undefined {
    return this.optional()?.number();
  }

  /** A size or count: an integer from 0 to 2^53-1. */
  natural(): number {
    if (!Number.isSafeInteger(this.value) || (this.value as number) < 0) this.#fail("a natural number");
    return this.value as number;
  }

  boolean(): boolean {
    if (typeof this.value !== "boolean") this.#fail("true or false");
    return this.value;
  }

  optionalBoolean(): boolean | undefined {
    return this.optional()?.boolean();
  }

  /** The elements; an absent or null value is an empty list. */
  array(): JsonReader[] {
    if (this.value === undefined || this.value === null) return [];
    if (!Array.isArray(this.value)) this.#fail("a list");
    return (this.value as unknown[]).map((element, index) => new JsonReader(element, `${this.#path}[${index}]`));
  }

  strings(): string[] {
    return this.array().map((element) => element.string());
  }

  /** A map of strings; an absent or null value is empty. */
  stringMap(): Record<string, string> {
    if (this.optional() === undefined) return {};
    return Object.fromEntries(Object.keys(this.object()).map((key) => [key, this.field(key).string()]));
  }

  keys(): string[] {
    return this.optional() === undefined ? [] : Object.keys(this.object());
  }

  #fail(expected: string): never {
    const actual = this.value === null ? "null" : Array.isArray(this.value) ? "a list" : typeof this.value;
    throw new SlipwayError("invalid", `${this.#path}: expected ${expected}, got ${actual}`);
  }
}
