import type { Cell, TableColumn } from './result-table.ts';

/** What a spreadsheet would take for a formula. Source: https://owasp.org/www-community/attacks/CSV_Injection */
const formulaStart = /^[=+\-@\t\r\n＝＋－＠]/;
const plainNumber = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i;
/** A spreadsheet may split cells at any of these, whatever the delimiter is. */
const needsQuotes = /[",;\t\r\n]|^\s|\s$/;

export interface WriteCsvOptions {
  readonly delimiter: ',' | '\t';
  /** `escape`: no spreadsheet runs a cell, since one that looks like a formula begins with `'`. */
  readonly formulas: 'escape' | 'keep';
}

const csvCell = (cell: Cell, formulas: WriteCsvOptions['formulas']): string => {
  if (cell === null) return '';
  if (typeof cell !== 'string') return String(cell);
  const isFormula = formulas === 'escape' && formulaStart.test(cell) && !plainNumber.test(cell);
  const safe = isFormula ? `'${cell}` : cell;
  return needsQuotes.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

/** Writes a table of separated values. */
export async function* writeCsv(
  columns: readonly TableColumn[],
  rows: AsyncIterable<readonly Cell[]>,
  { delimiter, formulas }: WriteCsvOptions,
): AsyncGenerator<string> {
  const lineOf = (cells: readonly Cell[]): string =>
    `${cells.map((cell) => csvCell(cell, formulas)).join(delimiter)}\n`;
  yield lineOf(columns.map(({ name }) => name));
  for await (const cells of rows) yield lineOf(cells);
}
