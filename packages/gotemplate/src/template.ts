import { DOCKER_FUNCTIONS } from "./docker-functions.ts";
import { execute } from "./executor.ts";
import { BUILTINS, type FunctionMap } from "./functions.ts";
import { parse, type TemplateSet } from "./parser.ts";
import type { Value } from "./values.ts";

export interface TemplateOptions {
  /** The name that errors show; Docker's templates have none. */
  readonly name?: string;
  /** Functions besides Go's own; Docker's unless given. */
  readonly functions?: FunctionMap;
  readonly missingKey?: "default" | "error";
}

/**
 * A template in the language of Go's `text/template`.
 *
 * ```ts
 * Template.parse("{{.Name}} {{json .Labels}}").execute({ Name: "web", Labels: {} }); // "web {}"
 * ```
 */
export class Template {
  readonly #name: string;
  readonly #text: string;
  readonly #functions: FunctionMap;
  readonly #templates: TemplateSet;
  readonly #missingKey: "default" | "error";

  private constructor(text: string, options: TemplateOptions) {
    this.#name = options.name ?? "";
    this.#text = text;
    this.#functions = { ...BUILTINS, ...(options.functions ?? DOCKER_FUNCTIONS) };
    this.#missingKey = options.missingKey ?? "default";
    this.#templates = parse(this.#name, text, (name) => Object.hasOwn(this.#functions, name));
  }

  /** Throws `TemplateError`. */
  static parse(text: string, options: TemplateOptions = {}): Template {
    return new Template(text, options);
  }

  /** Throws `TemplateError`. See `Value` for how data are seen. */
  execute(data: Value): string {
    return execute(
      {
        name: this.#name,
        text: this.#text,
        templates: this.#templates,
        functions: this.#functions,
        missingKey: this.#missingKey,
      },
      data,
    );
  }
}
