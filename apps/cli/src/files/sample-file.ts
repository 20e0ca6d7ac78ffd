import { resolve } from 'node:path';
import { type InputFormat, partOf, takeSample } from '@promptmill/files';
import type { CliContext } from '../context.ts';
import { plural } from '@promptmill/core/display';
import { type FileRecord, openRecords, surveyFiles } from './open-records.ts';
import { recordsText, targetFormat, writeOutput } from './write-records.ts';

export interface SampleFileOptions {
  readonly size: number;
  readonly seed: number;
  readonly format?: InputFormat;
  readonly output?: string;
}

/** Writes records chosen at random, in the order of the file. The same seed chooses the same. */
export const sampleFile = async (
  input: string,
  { size, seed, format, output: wanted = '-' }: SampleFileOptions,
  context: CliContext,
): Promise<number> => {
  const output = wanted === '-' ? wanted : resolve(wanted);
  await using file = await openRecords(input, format, context);
  const target = targetFormat(output, file.format);
  const { count, columns } = await surveyFiles([file]);
  const choose = takeSample({ size, seed, total: count });
  async function* chosen(): AsyncGenerator<FileRecord> {
    for await (const record of file.records()) {
      const choice = choose();
      if (choice === 'stop') return;
      if (choice === 'take') yield record;
    }
  }
  await writeOutput(output, recordsText(chosen(), { format: target, columns }), context);
  context.screen.write(`${plural(Math.min(size, count), partOf(file.format))} of ${count} (seed ${seed})\n`);
  return 0;
};
