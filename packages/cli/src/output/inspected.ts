import type { Template as GoTemplate } from "@slipway/gotemplate";
import { ExitError } from "../errors.ts";

export interface Inspected {
  readonly type: "container" | "image" | "volume" | "network";
  /** The engine's JSON as it came. */
  readonly text: string;
}

export interface Rendered {
  readonly text: string;
  /** What the template could not do, a line for each document that failed. */
  readonly failures: readonly string[];
}

/** What `inspect` prints: a list of documents, indented by four, or each through the template. Throws `ExitError`. */
export async function renderInspected(found: readonly Inspected[], format: string): Promise<Rendered> {
  if (format === "") {
    if (found.length === 0) return { text: "[]\n", failures: [] };
    const text = `${JSON.stringify(
      found.map(({ text }) => JSON.parse(text) as unknown),
      undefined,
      4,
    )}\n`;
    return { text, failures: [] };
  }
  if (format === "json") return { text: `[${found.map(({ text }) => text.trim()).join(",")}]\n`, failures: [] };
  const { Template, TemplateError } = await import("@slipway/gotemplate");
  const { inspectedView } = await import("./inspected-view.ts");
  let template: GoTemplate;
  let raw: GoTemplate;
  try {
    template = Template.parse(format);
    raw = Template.parse(format, { missingKey: "error" });
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new ExitError(64, `template parsing error: ${error.message}`);
  }
  const failures: string[] = [];
  const texts = found.flatMap((one) => {
    try {
      return [`${template.execute(inspectedView(one))}\n`];
    } catch {
      // A field that Docker's types do not have may still be in the document.
    }
    try {
      return [`${raw.execute(JSON.parse(one.text))}\n`];
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      failures.push(`template parsing error: ${error.message}`);
      return [];
    }
  });
  return { text: texts.length === 0 ? "\n" : texts.join(""), failures };
}
