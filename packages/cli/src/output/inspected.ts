import { ExitError } from "../errors.ts";

export interface Inspected {
  readonly type: "container" | "image" | "volume" | "network";
  /** The engine's JSON as it came. */
  readonly text: string;
}

/** What `inspect` prints: a list of documents, indented by four, or each through the template. Throws `ExitError`. */
export async function renderInspected(found: readonly Inspected[], format: string): Promise<string> {
  if (format === "") {
    if (found.length === 0) return "[]\n";
    return `${JSON.stringify(
      found.map(({ text }) => JSON.parse(text) as unknown),
      undefined,
      4,
    )}\n`;
  }
  if (format === "json") return `[${found.map(({ text }) => text.trim()).join(",")}]\n`;
  const { Template, TemplateError } = await import("@slipway/gotemplate");
  const { inspectedView } = await import("./inspected-view.ts");
  try {
    const template = Template.parse(format);
    const raw = Template.parse(format, { missingKey: "error" });
    const texts = found.map((one) => {
      try {
        return `${template.execute(inspectedView(one))}\n`;
      } catch (error) {
        if (!(error instanceof TemplateError)) throw error;
        // A field that Docker's types do not have may still be in the document.
        return `${raw.execute(JSON.parse(one.text))}\n`;
      }
    });
    return texts.length === 0 ? "\n" : texts.join("");
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new ExitError(error.phase === "parse" ? 64 : 1, `template parsing error: ${error.message}`);
  }
}
