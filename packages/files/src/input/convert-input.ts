import { isJsonObject, type JsonObject, maxModels } from '@promptmill/core';
import type { Advice } from './advice.ts';
import { type Choose, isBlank, takeAll } from './choose-records.ts';
import type { Composition } from './composition.ts';
import { type Converted, convertLine, parseJson, problem } from './convert-line.ts';
import { convertRow } from './convert-row.ts';
import type { InputFormat } from './input-format.ts';
import { type InputRecord, tooLong } from './input-record.ts';
import { type ColumnType, createColumns } from './table-columns.ts';
import { textOfValue } from './template.ts';

/** The URL of an image, or why there is none. */
export type ImageUrl = { readonly url: string } | { readonly problem: string };

export interface ConvertOptions {
  readonly format: InputFormat;
  readonly composition: Composition;
  /** A longer request is a problem. */
  readonly maxLineBytes: number;
  /** Default: in the words of the API. */
  readonly advice?: Advice | undefined;
  /** Default: all. */
  readonly choose?: Choose;
  readonly imageUrl?: (value: string) => Promise<ImageUrl>;
  readonly onRequest?: (customId: string, number: number) => void;
}

interface InputProblem {
  /** The first line or row that has it, 1-based. */
  readonly number: number;
  /** The line of that row, when that is another number. */
  readonly line: number | undefined;
  readonly message: string;
  /** How many lines or rows have it. */
  readonly count: number;
}

/** What one pass over an input found. */
export interface Conversion {
  readonly requests: number;
  /** The first {@link maxListedProblems} that differ from each other. */
  readonly problems: readonly InputProblem[];
  /** How many lines or rows have a problem, listed or not. */
  readonly badRecords: number;
  /** The endpoint of the first request. */
  readonly endpoint?: string;
  /** For each model, the first line or row that names it; at most {@link maxModels} models. */
  readonly models: ReadonlyMap<string, number>;
  readonly columns: ReadonlyMap<string, ColumnType>;
}

export interface ConvertedBlock {
  /** Lines of OpenAI's format. */
  readonly lines: string;
  /** For each request a line with its {@link Row}. */
  readonly rows: string;
}

/** What the input says of a request, by column. */
type Row = JsonObject;

const maxListedProblems = 10;
/** A block with more is not added to: a few short records may make many long requests. */
const maxBlockCharacters = 2 ** 20;

/** What a template can use of a record. A text without columns has one, `text`. */
export const rowOf = (
  record: InputRecord & { kind: 'text' | 'row' },
  format: InputFormat,
): { readonly values: Row } | { readonly message: string } => {
  if (record.kind === 'row') return record;
  if (format === 'text') return { values: { text: record.text.trim() } };
  const parsed = parseJson(record.text, format);
  if ('message' in parsed) return parsed;
  return { values: isJsonObject(parsed.value) ? parsed.value : { text: parsed.value } };
};

/** What is told of a request that no template made. */
const rowOfRequest = (text: string, format: InputFormat, customId: string): Row => {
  if (format === 'text') return { text: text.trim() };
  const value: unknown = JSON.parse(text);
  const prompt = isJsonObject(value) ? value['prompt'] : value;
  return { custom_id: customId, ...(prompt === undefined ? {} : { prompt }) };
};

type ConvertedRecord = Converted & { readonly row?: Row };

const createConverter = ({ format, composition, maxLineBytes, advice, imageUrl }: ConvertOptions) => {
  const { rows } = composition;

  const convert = async (record: InputRecord): Promise<ConvertedRecord> => {
    const { number } = record;
    if (record.kind === 'problem') return record;
    if (isBlank(record)) return { kind: 'blank' };
    if (rows === undefined) {
      if (record.kind === 'row') return problem('a table needs a prompt that names its columns');
      const converted = convertLine(record.text, { number, format, composition, advice });
      if (converted.kind !== 'request') return converted;
      return { ...converted, row: rowOfRequest(record.text, format, converted.request.customId) };
    }
    const row = rowOf(record, format);
    if ('message' in row) return problem(row.message);
    const options = { number, composition: { ...composition, rows }, advice, maxLineBytes };
    const { imageColumn } = rows;
    const image = imageColumn === undefined ? '' : textOfValue(row.values[imageColumn]);
    if (image === '' || imageUrl === undefined) return { ...convertRow(row.values, options), row: row.values };
    const found = await imageUrl(image);
    if ('problem' in found) return problem(found.problem);
    return { ...convertRow(row.values, { ...options, imageUrl: found.url }), row: row.values };
  };

  return async (record: InputRecord): Promise<ConvertedRecord> => {
    const converted = await convert(record);
    return converted.kind === 'request' && Buffer.byteLength(converted.line) > maxLineBytes
      ? problem(tooLong(maxLineBytes))
      : converted;
  };
};

/**
 * Converts the records of a user's input to lines of OpenAI's format. Each record becomes one line, so that numbers stay
 * the same: a blank line stays blank, and a record that has a problem or is not chosen becomes blank. Memory stays flat as
 * the input grows.
 */
export async function* convertInput(
  source: AsyncIterable<readonly InputRecord[]>,
  options: ConvertOptions,
): AsyncGenerator<ConvertedBlock, Conversion, undefined> {
  const { choose = takeAll, onRequest } = options;
  const convert = createConverter(options);
  const problems = new Map<string, { number: number; line: number | undefined; message: string; count: number }>();
  const models = new Map<string, number>();
  const columns = createColumns();
  let requests = 0;
  let badRecords = 0;
  let endpoint: string | undefined;
  let hasEnded = false;

  const addProblem = ({ number, line }: InputRecord, message: string): void => {
    badRecords++;
    const known = problems.get(message);
    if (known) known.count++;
    else if (problems.size < maxListedProblems) problems.set(message, { number, line, message, count: 1 });
  };

  for await (const records of source) {
    let block = { lines: '', rows: '' };
    for (const record of records) {
      const choice = isBlank(record) ? 'skip' : choose();
      hasEnded = choice === 'stop';
      if (hasEnded) break;
      const converted: ConvertedRecord = choice === 'skip' ? { kind: 'blank' } : await convert(record);
      if (converted.kind === 'problem') {
        addProblem(record, converted.message);
      } else if (converted.kind === 'request') {
        requests++;
        const { customId, url, body } = converted.request;
        onRequest?.(customId, record.number);
        endpoint ??= url;
        if (!models.has(body.model) && models.size < maxModels) models.set(body.model, record.number);
        block.lines += converted.line;
        if (converted.row) {
          columns.add(converted.row);
          block.rows += `${JSON.stringify(converted.row)}\n`;
        }
      }
      block.lines += '\n';
      if (block.lines.length + block.rows.length < maxBlockCharacters) continue;
      yield block;
      block = { lines: '', rows: '' };
    }
    yield block;
    if (hasEnded) break;
  }
  return {
    requests,
    problems: [...problems.values()],
    badRecords,
    models,
    columns: columns.found(),
    ...(endpoint === undefined ? {} : { endpoint }),
  };
}
