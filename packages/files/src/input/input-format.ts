import { type Advice, apiAdvice } from './advice.ts';
import { InputError } from './input-error.ts';

/**
 * How an input is read. `text` has a prompt on each line, `jsonl` a JSON object; `json` is one array of strings or objects;
 * the others are tables.
 */
export type InputFormat = 'text' | 'jsonl' | 'json' | 'csv' | 'tsv' | 'parquet';

export const inputFormats = [
  'text',
  'jsonl',
  'json',
  'csv',
  'tsv',
  'parquet',
] as const satisfies readonly InputFormat[];

/** A table has columns, and no prompt until a template makes one. */
export const isTable = (format: InputFormat): boolean => format === 'csv' || format === 'tsv' || format === 'parquet';

/** What messages call the parts of an input that become requests. */
export const partOf = (format: InputFormat): 'line' | 'row' =>
  format === 'text' || format === 'jsonl' ? 'line' : 'row';

const formatsByExtension: Readonly<Record<string, InputFormat | 'json-by-content'>> = {
  txt: 'text',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  json: 'json-by-content',
  csv: 'csv',
  tsv: 'tsv',
  parquet: 'parquet',
};

/** The format that the name of a file says, with or without `.gz`; undefined when it says none. `.json` is an array. */
export const formatOfName = (name: string): InputFormat | undefined => {
  const extension = /\.([^./\\]+)$/.exec(name.replace(/\.gz$/i, ''))?.[1]?.toLowerCase();
  const format = extension === undefined ? undefined : formatsByExtension[extension];
  return format === 'json-by-content' ? 'json' : format;
};

export const isGzip = (head: Buffer): boolean => head[0] === 0x1f && head[1] === 0x8b;

const startsWith = (head: Buffer, magic: string): boolean =>
  head.subarray(0, magic.length).toString('latin1') === magic;

const formatOfContent = (head: Buffer): InputFormat => {
  const [first] = head
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .trimStart();
  if (first === '[') return 'json';
  return first === '{' ? 'jsonl' : 'text';
};

const unknown = (message: string, { format }: Advice): InputError =>
  new InputError('format_unknown', `${message}; ${format}`);

/**
 * The format of an input. Content that is unmistakable decides, then the name, then the first character.
 *
 * @param name the path of the file, with or without `.gz`, or `-`.
 * @param head the first bytes, uncompressed.
 * @throws InputError `format_unknown`.
 */
export const detectFormat = (name: string, head: Buffer, advice = apiAdvice): InputFormat => {
  if (startsWith(head, 'PAR1')) return 'parquet';
  if (startsWith(head, 'PK\u0003\u0004'))
    throw new InputError('format_unknown', `${name} is a spreadsheet or a zip archive: save the table in it as CSV`);
  const extension = /\.([^./\\]+)$/.exec(name.replace(/\.gz$/i, ''))?.[1]?.toLowerCase();
  if (name === '-' || extension === undefined) return formatOfContent(head);
  const format = formatsByExtension[extension];
  if (format === undefined) throw unknown(`cannot tell from its name what ${name} holds`, advice);
  if (format === 'parquet' && head.length > 0) throw unknown(`${name} is no Parquet file`, advice);
  return format === 'json-by-content' ? (formatOfContent(head) === 'json' ? 'json' : 'jsonl') : format;
};
