import { ExitError } from "../errors.ts";
import { alignColumns } from "./tab-writer.ts";

/** One field of a listing: its heading, and its text for a row. A field with an argument is a method, like `.Label "x"`. */
export interface Field<Row> {
  readonly heading: string;
  readonly value: (row: Row) => unknown;
  /** Left out of `json`, as Docker leaves out what takes an argument. */
  readonly method?: true;
}

/** What a list command can show, and what it shows unless told otherwise. */
export interface Listing<Row> {
  /** Go's name of the row, for errors: `*formatter.ContainerContext`. */
  readonly type: string;
  readonly fields: Readonly<Record<string, Field<Row>>>;
  /** Fields of the table without a template. */
  readonly table: readonly string[];
  /** The one field of `--quiet`. */
  readonly quiet: string;
  /** `--format raw`, an old form that some scripts use. */
  readonly raw?: string;
  /** `--format raw --quiet`. */
  readonly rawQuiet?: string;
}

export interface ListingOptions {
  /** `""`, `table`, `table TEMPLATE`, `json`, `raw` or a template. */
  readonly format: string;
  readonly quiet: boolean;
}

/** The whole output of a list command. Throws `ExitError` when the template is wrong. */
export async function renderListing<Row>(
  listing: Listing<Row>,
  rows: readonly Row[],
  options: ListingOptions,
): Promise<string> {
  const { format, quiet } = options;
  if (format === "" || format === "table") {
    return quiet ? quietList(listing, rows) : defaultTable(listing, rows);
  }
  if (format === "raw" && listing.raw !== undefined) {
    return await renderTemplate(listing, rows, quiet ? (listing.rawQuiet ?? listing.raw) : listing.raw);
  }
  return await renderTemplate(listing, rows, format);
}

function quietList<Row>(listing: Listing<Row>, rows: readonly Row[]): string {
  return rows.map((row) => `${text(listing, listing.quiet, row)}\n`).join("");
}

function defaultTable<Row>(listing: Listing<Row>, rows: readonly Row[]): string {
  const headings = listing.table.map((name) => listing.fields[name]?.heading ?? "").join("\t");
  const lines = rows.map((row) => listing.table.map((name) => text(listing, name, row)).join("\t"));
  return alignColumns(`${[headings, ...lines].join("\n")}\n`);
}

function text<Row>(listing: Listing<Row>, name: string, row: Row): string {
  const value = listing.fields[name]?.value(row);
  return value === undefined || value === null ? "" : String(value);
}

/** Templates are rare, and their package takes a millisecond to load: it is loaded here only. */
async function renderTemplate<Row>(listing: Listing<Row>, rows: readonly Row[], format: string): Promise<string> {
  const { Template, TemplateError, HEADER_FUNCTIONS, GO_TYPE, GO_MARSHALER, TypedNil } = await import(
    "@slipway/gotemplate"
  );
  const isTable = format.startsWith("table");
  const source = unescapeFormat(isTable ? format.slice("table".length) : format === "json" ? "{{json .}}" : format);
  try {
    const template = Template.parse(source);
    const views = rows.map((row) =>
      rowView(listing, row, {
        marks: { [GO_TYPE]: listing.type, [GO_MARSHALER]: true },
        nil: new TypedNil("pointer"),
      }),
    );
    const body = views.map((view) => `${template.execute(view)}\n`).join("");
    if (!isTable) return body;
    const heading = Template.parse(source, { functions: HEADER_FUNCTIONS }).execute(headingView(listing));
    return alignColumns(`${heading}\n${body}`);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    const prefix = error.phase === "parse" ? "template parsing error: " : "";
    throw new ExitError(1, `${prefix}${error.message}`, await suggestField(error.message, listing));
  }
}

interface RowMarks {
  readonly marks: Readonly<Record<symbol, unknown>>;
  /** What a field without a value is. */
  readonly nil: unknown;
}

/** The row as templates see it: fields as values, methods as functions, JSON with sorted keys. */
function rowView<Row>(listing: Listing<Row>, row: Row, { marks, nil }: RowMarks): object {
  const prototype: Record<string | symbol, unknown> = { ...marks };
  const own: Record<string, unknown> = Object.create(prototype) as Record<string, unknown>;
  const names = Object.keys(listing.fields).sort();
  for (const name of names) {
    const field = listing.fields[name];
    if (field === undefined) continue;
    if (field.method === true) prototype[name] = field.value(row);
    else Object.defineProperty(own, name, { enumerable: true, get: () => field.value(row) ?? nil });
  }
  return own;
}

function headingView<Row>(listing: Listing<Row>): object {
  const heading = (name: unknown) => String(name).split(".").at(-1)?.replace(/[-_]/g, " ") ?? "";
  return Object.fromEntries(
    Object.entries(listing.fields).map(([name, field]) => [name, field.method === true ? heading : field.heading]),
  );
}

/** `\t` and `\n` in a format are typed as two characters; spaces around it do not count. */
function unescapeFormat(format: string): string {
  return format
    .replace(/^ +| +$/g, "")
    .replaceAll("\\t", "\t")
    .replaceAll("\\n", "\n");
}

async function suggestField<Row>(message: string, listing: Listing<Row>): Promise<string | undefined> {
  const name = /can't evaluate field (\S+) in type/.exec(message)?.[1];
  if (name === undefined) return undefined;
  const { nearest } = await import("@slipway/base");
  const known = Object.keys(listing.fields);
  const found = nearest(name, known);
  return found === undefined ? `Fields: ${known.sort().join(", ")}` : `Did you mean .${found}?`;
}
