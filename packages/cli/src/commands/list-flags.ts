export const FORMAT_HELP =
  "How to print it: 'table', 'table TEMPLATE', 'json' or a TEMPLATE in Go's template language, such as '{{.Names}}'";
export const INSPECT_FORMAT_HELP =
  "How to print it: 'json' or a TEMPLATE in Go's template language, such as '{{.State.Status}}'";

/** Filters as the API takes them; absent when there are none. */
export function filterQuery(filters: Readonly<Record<string, readonly string[]>>): string | undefined {
  if (Object.keys(filters).length === 0) return undefined;
  const sets = Object.entries(filters).map(([name, values]) => [
    name,
    Object.fromEntries(values.map((value) => [value, true])),
  ]);
  return JSON.stringify(Object.fromEntries(sets));
}
