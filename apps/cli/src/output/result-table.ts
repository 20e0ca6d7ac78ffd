import type { JsonObject } from '@promptmill/core';
import type { ColumnType } from '../input/table-columns.ts';
import type { ResultSummary } from './read-result.ts';

export interface TableColumn {
  readonly name: string;
  readonly type: ColumnType;
}

export type Cell = string | number | boolean | null;

/** A table of results: what the input says of each request, then what came of it. */
export interface ResultTable {
  readonly columns: readonly TableColumn[];
  /** The cells of a row, in the order of the columns. */
  readonly cells: (row: JsonObject, result: ResultSummary) => readonly Cell[];
}

const resultColumns: readonly (TableColumn & { readonly value: (result: ResultSummary) => Cell })[] = [
  { name: 'answer', type: 'text', value: ({ answer }) => answer },
  { name: 'error', type: 'text', value: ({ error }) => error },
  { name: 'model', type: 'text', value: ({ model }) => model },
  { name: 'input_tokens', type: 'integer', value: ({ inputTokens }) => inputTokens },
  { name: 'output_tokens', type: 'integer', value: ({ outputTokens }) => outputTokens },
];

/** A name that no column has yet: `answer`, else `answer_2` and so on. */
const freeName = (name: string, taken: ReadonlySet<string>): string => {
  let free = name;
  for (let number = 2; taken.has(free); number++) free = `${name}_${number}`;
  return free;
};

const cellOf = (value: unknown, type: ColumnType): Cell => {
  if (value === undefined || value === null) return null;
  if (type !== 'text') return value as number | boolean;
  return typeof value === 'string' ? value : JSON.stringify(value);
};

/** @param inputColumns what the input has. */
export const createResultTable = (inputColumns: ReadonlyMap<string, ColumnType>): ResultTable => {
  const taken = new Set(inputColumns.keys());
  const input = [...inputColumns].map(([name, type]) => ({ name, type }));
  const added = resultColumns.map(({ name, type }) => {
    const free = freeName(name, taken);
    taken.add(free);
    return { name: free, type };
  });
  return {
    columns: [...input, ...added],
    cells: (row, result) => [
      ...input.map(({ name, type }) => cellOf(Object.hasOwn(row, name) ? row[name] : null, type)),
      ...resultColumns.map(({ value }) => value(result)),
    ],
  };
};
