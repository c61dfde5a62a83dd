export interface ColumnSettings {
  readonly minWidth: number;
  readonly padding: number;
}

/** Those of Docker's lists. */
const LISTS: ColumnSettings = { minWidth: 10, padding: 3 };

/**
 * Aligns tab-separated cells as Go's `text/tabwriter` does: a column is as wide as its widest cell and the padding, at least
 * the minimum; a line's last cell belongs to no column. A column ends at a line that does not have it.
 */
export function alignColumns(text: string, settings: ColumnSettings = LISTS): string {
  const lines = text.split("\n").map((line) => line.split("\t"));
  // One look at the whole: lists of thousands of lines have no time to look at each cell.
  const widthOf = /[\ud800-\udfff]/.test(text) ? codePoints : units;
  let columns = 0;
  for (const cells of lines) columns = Math.max(columns, cells.length - 1);
  for (let column = 0; column < columns; column++) padColumn({ lines, settings, widthOf }, column);
  let aligned = "";
  for (const [row, cells] of lines.entries()) aligned += row === 0 ? cells.join("") : `\n${cells.join("")}`;
  return aligned;
}

interface Grid {
  readonly lines: string[][];
  readonly settings: ColumnSettings;
  readonly widthOf: (cell: string) => number;
}

/** Gives each block of neighbouring lines that have this column its width. */
function padColumn({ lines, settings, widthOf }: Grid, column: number): void {
  for (let start = 0; start < lines.length; start++) {
    let end = start;
    let width = settings.minWidth;
    for (; end < lines.length; end++) {
      const cells = lines[end];
      if (cells === undefined || cells.length <= column + 1) break;
      width = Math.max(width, widthOf(cells[column] ?? "") + settings.padding);
    }
    for (let row = start; row < end; row++) {
      const cells = lines[row];
      const cell = cells?.[column] ?? "";
      if (cells !== undefined) cells[column] = cell.padEnd(width + cell.length - widthOf(cell));
    }
    if (end > start) start = end - 1;
  }
}

const units = (cell: string) => cell.length;
const codePoints = (cell: string) => [...cell].length;
