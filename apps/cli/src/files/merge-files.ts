import { resolve } from 'node:path';
import { type InputFormat, partOf } from '@promptmill/files';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { plural } from '@promptmill/core/display';
import { type FileRecord, openRecords, type RecordFile, surveyFiles } from './open-records.ts';
import { recordsText, targetFormat, writeOutput } from './write-records.ts';

export interface MergeFilesOptions {
  readonly format?: InputFormat;
  readonly output?: string;
}

/** Writes the records of several files one after another. Tables get the columns of all. */
export const mergeFiles = async (
  inputs: readonly string[],
  { format, output: wanted = '-' }: MergeFilesOptions,
  context: CliContext,
): Promise<number> => {
  const output = wanted === '-' ? wanted : resolve(wanted);
  const same = inputs.find((input) => input !== '-' && resolve(input) === output);
  if (same !== undefined) throw new CliError('output_is_input', `${same} is an input: name another file with -o`);
  if (inputs.filter((input) => input === '-').length > 1)
    throw new CliError('options_invalid', 'standard input can be read once: name - once');

  await using stack = new AsyncDisposableStack();
  const files: RecordFile[] = [];
  for (const input of inputs) files.push(stack.use(await openRecords(input, format, context)));
  const targets = files.map((file) => targetFormat(output === '-' ? '-' : output, file.format));
  const other = files.find((_, index) => targets[index] !== targets[0]);
  if (other)
    throw new CliError(
      'format_mismatch',
      `${other.name} is ${other.format}, and ${files[0]?.name} is ${files[0]?.format}: name the output's format, such as -o merged.${targets[0]}`,
    );
  const { count, columns } = await surveyFiles(files);
  async function* all(): AsyncGenerator<FileRecord> {
    for (const file of files) yield* file.records();
  }
  await writeOutput(output, recordsText(all(), { format: targets[0] ?? 'text', columns }), context);
  context.screen.write(`${plural(count, partOf(files[0]?.format ?? 'text'))} of ${plural(files.length, 'file')}\n`);
  return 0;
};
