import { ExitError } from "../errors.ts";

/** Exit code of a template that cannot be parsed, where Docker gives one. */
export const TEMPLATE_STATUS = 64;

/** One document through a template, with a newline; `json` prints it whole. Throws `ExitError`. */
export async function renderDocument(document: unknown, format: string, status = 1): Promise<string> {
  const source = format === "json" ? "{{json .}}" : format;
  const { Template, TemplateError } = await import("@slipway/gotemplate");
  try {
    return `${Template.parse(source).execute(document)}\n`;
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new ExitError(error.phase === "parse" ? status : 1, `template parsing error: ${error.message}`);
  }
}
