import type { CliContext } from './context.ts';
import { printable, printableLine } from './terminal.ts';

/** A column's title, and its side where it is not the left: numbers stand on the right. */
export interface Column {
  readonly title: string;
  readonly align?: 'right';
}

/** Lines up cells below their columns' titles. */
export const formatTable = (columns: readonly Column[], rows: readonly (readonly string[])[]): string => {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(printableLine))];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => (row[index] ?? '').length)));
  const fit = (cell: string, index: number): string =>
    columns[index]?.align === 'right' ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0);
  return cells.map((row) => row.map(fit).join('  ').trimEnd()).join('\n');
};

export interface ShownAs {
  /** Whether `--json` was given. */
  readonly json: boolean | undefined;
  /** What a person gets to see. */
  readonly text: () => string;
}

/** Prints what a command found: for people on a terminal, as JSON into a pipe or a file, or when it was asked for. */
export const show = (
  value: unknown,
  { json, text }: ShownAs,
  { stdout, stdoutIsTerminal }: Pick<CliContext, 'stdout' | 'stdoutIsTerminal'>,
): void => {
  const isJson = json === true || !stdoutIsTerminal;
  stdout.write(`${isJson ? JSON.stringify(value, undefined, 2) : printable(text())}\n`);
};
