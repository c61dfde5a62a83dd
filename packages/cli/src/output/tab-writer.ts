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
  const widths = lines.map((cells) => new Array<number>(cells.length - 1).fill(0));
  const columns = Math.max(...lines.map((cells) => cells.length - 1), 0);
  for (let column = 0; column < columns; column++) measureColumn({ lines, widths, settings }, column);
  return lines
    .map((cells, row) => cells.map((cell, column) => pad(cell, widths[row]?.[column] ?? 0)).join(""))
    .join("\n");
}

interface Grid {
  readonly lines: readonly string[][];
  readonly widths: readonly number[][];
  readonly settings: ColumnSettings;
}

/** Gives each block of neighbouring lines that have this column its width. */
function measureColumn({ lines, widths, settings }: Grid, column: number): void {
  for (let start = 0; start < lines.length; start++) {
    let end = start;
    let width = settings.minWidth;
    while (end < lines.length && (lines[end]?.length ?? 0) > column + 1) {
      width = Math.max(width, widthOf(lines[end]?.[column] ?? "") + settings.padding);
      end++;
    }
    for (let row = start; row < end; row++) {
      const line = widths[row];
      if (line !== undefined) line[column] = width;
    }
    if (end > start) start = end - 1;
  }
}

function pad(cell: string, width: number): string {
  return width === 0 ? cell : cell + " ".repeat(Math.max(width - widthOf(cell), 0));
}

function widthOf(text: string): number {
  return /^[\x00-\x7f]*$/.test(text) ? text.length : [...text].length;
}
