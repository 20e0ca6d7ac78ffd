import { isJsonObject, type JsonObject } from '@promptmill/core';
import { textOfValue } from '@promptmill/files';
import { CliError } from '../cli-error.ts';
import { readResult } from '../output/read-result.ts';
import type { FileRecord, RecordFile } from './open-records.ts';

/** What a line or row says of the request that it is the result of. */
export interface KeyedAnswer {
  readonly id: string;
  /** Where it is: `results.jsonl:7`. */
  readonly place: string;
  readonly answer: string;
}

/** What differs between two runs that came to the same answer. */
const accounts = new Set(['model', 'input_tokens', 'output_tokens', 'cost_usd']);

const answerOfLine = (text: string): string => {
  const { answer, error } = readResult(text);
  return error === null ? (answer ?? '') : `error: ${error}`;
};

/** The answer or error of a table of results, or all cells of another table. */
const answerOfRow = (values: JsonObject, idColumn: string): string => {
  const error = textOfValue(values['error']);
  if (Object.hasOwn(values, 'error') && error !== '') return `error: ${error}`;
  if (Object.hasOwn(values, 'answer')) return textOfValue(values['answer']);
  const rest = Object.entries(values).filter(([name]) => name !== idColumn && name !== 'error' && !accounts.has(name));
  return JSON.stringify(Object.fromEntries(rest.map(([name, value]) => [name, textOfValue(value)])));
};

const parseLine = (text: string): JsonObject | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
};

/** @throws CliError `input_invalid` when the record is no result with an id. */
export const keyedAnswer = (record: FileRecord, idColumn: string, file: RecordFile): KeyedAnswer => {
  const place = file.placeOf(record);
  const values = record.kind === 'row' ? record.values : parseLine(record.text);
  if (values === undefined) throw new CliError('input_invalid', `${place}: not a JSON object`);
  const id = Object.hasOwn(values, idColumn) ? textOfValue(values[idColumn]) : '';
  if (id === '')
    throw new CliError('input_invalid', `${place}: there is no ${idColumn}; --id names what tells requests apart`);
  const isResult = record.kind === 'text' && Object.hasOwn(values, 'response') && Object.hasOwn(values, 'error');
  return { id, place, answer: isResult ? answerOfLine(record.text) : answerOfRow(values, idColumn) };
};
