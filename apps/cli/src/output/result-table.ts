import { isJsonObject, type JsonObject } from '@promptmill/core';
import { type ColumnType, typeFits } from '@promptmill/files';
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

/** How answers become columns. */
export interface AnswerTable {
  /** Properties of the answers. Without any, each answer is one cell. */
  readonly columns: ReadonlyMap<string, ColumnType>;
  /** Whether there is a column with the whole answer too. */
  readonly whole: boolean;
}

export const wholeAnswers: AnswerTable = { columns: new Map(), whole: true };

type ResultColumn = TableColumn & { readonly value: (result: ResultSummary, answer: JsonObject) => Cell };

const answerColumn: ResultColumn = { name: 'answer', type: 'text', value: ({ answer }) => answer };
const otherColumns: readonly ResultColumn[] = [
  { name: 'error', type: 'text', value: ({ error }) => error },
  { name: 'model', type: 'text', value: ({ model }) => model },
  { name: 'input_tokens', type: 'integer', value: ({ inputTokens }) => inputTokens },
  { name: 'output_tokens', type: 'integer', value: ({ outputTokens }) => outputTokens },
  { name: 'cost_usd', type: 'number', value: ({ costUsd }) => costUsd },
];

/** A name that no column has yet: `answer`, else `answer_2` and so on. */
const freeName = (name: string, taken: ReadonlySet<string>): string => {
  let free = name;
  for (let number = 2; taken.has(free); number++) free = `${name}_${number}`;
  return free;
};

/** A value as a cell of a column of that type. What is no text becomes JSON in a column of text. */
export const cellOf = (value: unknown, type: ColumnType): Cell => {
  if (value === undefined || value === null) return null;
  if (type !== 'text') return value as number | boolean;
  return typeof value === 'string' ? value : JSON.stringify(value);
};

/** The properties of an answer that is a JSON object. */
const propertiesOf = ({ answer }: ResultSummary): JsonObject => {
  try {
    const value: unknown = JSON.parse(answer ?? '');
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
};

const propertyColumn = (name: string, type: ColumnType): ResultColumn => ({
  name,
  type,
  value: (_, answer) => {
    const value = Object.hasOwn(answer, name) ? answer[name] : null;
    // An answer that does not match its schema may hold anything.
    return typeFits(value, type) ? cellOf(value, type) : null;
  },
});

/** @param inputColumns what the input has. */
export const createResultTable = (
  inputColumns: ReadonlyMap<string, ColumnType>,
  { columns: properties, whole }: AnswerTable = wholeAnswers,
): ResultTable => {
  const taken = new Set(inputColumns.keys());
  const input = [...inputColumns].map(([name, type]) => ({ name, type }));
  const resultColumns = [
    ...[...properties].map(([name, type]) => propertyColumn(name, type)),
    ...(whole || properties.size === 0 ? [answerColumn] : []),
    ...otherColumns,
  ];
  const added = resultColumns.map(({ name, type }) => {
    const free = freeName(name, taken);
    taken.add(free);
    return { name: free, type };
  });
  return {
    columns: [...input, ...added],
    cells: (row, result) => {
      const answer = properties.size > 0 ? propertiesOf(result) : {};
      return [
        ...input.map(({ name, type }) => cellOf(Object.hasOwn(row, name) ? row[name] : null, type)),
        ...resultColumns.map(({ value }) => value(result, answer)),
      ];
    },
  };
};
