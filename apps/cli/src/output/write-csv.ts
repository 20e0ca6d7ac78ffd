import type { Cell, TableColumn } from './result-table.ts';

/** What a spreadsheet would take for a formula. Source: https://owasp.org/www-community/attacks/CSV_Injection */
const formulaStart = /^[=+\-@\t\r\n＝＋－＠]/;
const plainNumber = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i;
/** A spreadsheet may split cells at any of these, whatever the delimiter is. */
const needsQuotes = /[",;\t\r\n]|^\s|\s$/;

const csvCell = (cell: Cell): string => {
  if (cell === null) return '';
  if (typeof cell !== 'string') return String(cell);
  const safe = formulaStart.test(cell) && !plainNumber.test(cell) ? `'${cell}` : cell;
  return needsQuotes.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

/** Writes a table of separated values. No spreadsheet runs a cell: one that looks like a formula begins with `'`. */
export async function* writeCsv(
  columns: readonly TableColumn[],
  rows: AsyncIterable<readonly Cell[]>,
  delimiter: ',' | '\t',
): AsyncGenerator<string> {
  const lineOf = (cells: readonly Cell[]): string => `${cells.map(csvCell).join(delimiter)}\n`;
  yield lineOf(columns.map(({ name }) => name));
  for await (const cells of rows) yield lineOf(cells);
}
