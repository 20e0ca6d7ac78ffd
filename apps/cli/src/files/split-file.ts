import { mkdir, readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type InputFormat, partOf } from '@promptmill/files';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { plural } from '@promptmill/core/display';
import { nameOfInput } from '../input/open-input.ts';
import { type FileRecord, openRecords, surveyFiles } from './open-records.ts';
import { recordsText, writeOutput } from './write-records.ts';

export interface SplitFileOptions {
  /** Most lines or rows in a part. */
  readonly lines?: number;
  /** Most bytes in a part. */
  readonly bytes?: number;
  readonly format?: InputFormat;
  /** The folder of the parts. Default: that of the input. */
  readonly output?: string;
}

const bytesOf = (record: FileRecord): number =>
  record.kind === 'text' ? Buffer.byteLength(record.text) + 1 : Number.POSITIVE_INFINITY;

/** Cuts records into parts, one after another: a part has to be read before the next. */
async function* partsOf(
  records: AsyncIterable<FileRecord>,
  { lines = Number.POSITIVE_INFINITY, bytes = Number.POSITIVE_INFINITY }: Pick<SplitFileOptions, 'lines' | 'bytes'>,
): AsyncGenerator<AsyncIterable<FileRecord>> {
  const all = records[Symbol.asyncIterator]();
  let next = await all.next();
  async function* part(): AsyncGenerator<FileRecord> {
    let taken = 0;
    let takenBytes = 0;
    while (!next.done && taken < lines) {
      taken++;
      if (bytes !== Number.POSITIVE_INFINITY) takenBytes += bytesOf(next.value);
      if (takenBytes > bytes) return;
      yield next.value;
      next = await all.next();
    }
  }
  while (!next.done) yield part();
}

const numberOf = (part: number): string => String(part).padStart(4, '0');

/** `prompts.jsonl.gz` has parts such as `prompts.part-0001.jsonl`. */
const namesOf = (input: string, format: InputFormat) => {
  const name = basename(nameOfInput(input)).replace(/\.gz$/i, '');
  const [, base = name, extension = format === 'text' ? 'txt' : format] = /^(.+)\.([^.]+)$/.exec(name) ?? [];
  return {
    part: (number: number): string => `${base}.part-${numberOf(number)}.${extension}`,
    isPart: (other: string): boolean => other.startsWith(`${base}.part-`) && other.endsWith(`.${extension}`),
  };
};

/** Splits a file into parts, each of them written whole. It replaces no parts of an earlier split. */
export const splitFile = async (
  input: string,
  { lines, bytes, format, output }: SplitFileOptions,
  context: CliContext,
): Promise<number> => {
  if (lines === undefined && bytes === undefined)
    throw new CliError('options_invalid', 'say how large a part may be: --lines 50000 or --bytes 100MB');
  await using file = await openRecords(input, format, context);
  if (bytes !== undefined && partOf(file.format) === 'row')
    throw new CliError('options_invalid', `${file.name} is ${file.format}, which is split by rows: --lines 50000`);
  const { columns } = await surveyFiles([file], (record) => {
    const size = bytes === undefined ? 0 : bytesOf(record);
    if (bytes !== undefined && size > bytes)
      throw new CliError('input_invalid', `${file.placeOf(record)}: ${size} bytes, more than --bytes ${bytes}`);
  });

  const folder = output === undefined ? (input === '-' ? '.' : dirname(input)) : output;
  await mkdir(folder, { recursive: true });
  const names = namesOf(input, file.format);
  const earlier = (await readdir(folder)).find(names.isPart);
  if (earlier !== undefined)
    throw new CliError(
      'output_exists',
      `${join(folder, earlier)} is of an earlier split: remove its parts, or name another folder with -o`,
    );
  let parts = 0;
  for await (const part of partsOf(file.records(), { ...(lines && { lines }), ...(bytes && { bytes }) })) {
    const path = join(folder, names.part(++parts));
    await writeOutput(resolve(path), recordsText(part, { format: file.format, columns }), context);
    context.stdout.write(`${path}\n`);
  }
  context.screen.write(`${plural(parts, 'part')} of ${file.name}, by ${partOf(file.format)}s in their order\n`);
  return 0;
};
