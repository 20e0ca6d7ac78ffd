import { inputFormats } from '@promptmill/files';
import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { filesHelp } from '../help-texts.ts';
import { maxWhole, wholeNumber } from '../input/prompt-options.ts';
import type { DiffFilesOptions } from './diff-files.ts';
import type { MergeFilesOptions } from './merge-files.ts';
import { parseBytes } from './parse-bytes.ts';
import type { SampleFileOptions } from './sample-file.ts';
import type { SplitFileOptions } from './split-file.ts';

const formatOption = (): Option =>
  new Option('--format <format>', 'how to read it (default: as name and content say)').choices(inputFormats);
const outputOption = '-o, --output <file>';

/** Adds `files sample`, `files split`, `files merge` and `files diff`. Each is imported when it is called. */
export const addFileCommands = (program: Command, context: CliContext, done: (exitCode: number) => void): void => {
  const files = program
    .command('files')
    .description('Samples, splits, merges and compares files of prompts and results.')
    .helpCommand(false)
    .addHelpText('after', filesHelp);

  files
    .command('sample')
    .argument('<input>')
    .description('Writes lines or rows chosen at random, in the order of the file.')
    .option('-n, --size <n>', 'how many', wholeNumber(1, maxWhole), 100)
    .option('--seed <n>', 'choose the same again for the same number', wholeNumber(0, 2 ** 32 - 1), 1)
    .option(outputOption, 'where they go (default: standard output)')
    .addOption(formatOption())
    .action(async (input: string, options: SampleFileOptions) => {
      const { sampleFile } = await import('./sample-file.ts');
      done(await sampleFile(input, options, context));
    });

  files
    .command('split')
    .argument('<input>')
    .description('Splits a file into parts that each have the header, and prints their names.')
    .option('--lines <n>', 'most lines or rows in a part, such as 50000', wholeNumber(1, maxWhole))
    .option('--bytes <size>', 'most bytes in a part of lines, such as 100MB', parseBytes)
    .option('-o, --output <folder>', 'where the parts go (default: beside the file)')
    .addOption(formatOption())
    .action(async (input: string, options: SplitFileOptions) => {
      const { splitFile } = await import('./split-file.ts');
      done(await splitFile(input, options, context));
    });

  files
    .command('merge')
    .argument('<input...>')
    .description('Writes the lines or rows of several files one after another. Tables get the columns of all.')
    .option(outputOption, 'where they go (default: standard output)')
    .addOption(formatOption())
    .action(async (inputs: readonly string[], options: MergeFilesOptions) => {
      const { mergeFiles } = await import('./merge-files.ts');
      done(await mergeFiles(inputs, options, context));
    });

  files
    .command('diff')
    .argument('<input>', 'the results before')
    .argument('<other-input>', 'the results after')
    .description('Compares two files of results by custom_id: which answers changed, and which are in one alone.')
    .option('--id <column>', 'what tells requests apart', 'custom_id')
    .option('--json', 'print a JSON object a line, as into a pipe')
    .addOption(formatOption())
    .action(async (before: string, after: string, options: DiffFilesOptions) => {
      const { diffFiles } = await import('./diff-files.ts');
      done(await diffFiles(before, after, options, context));
    });
};
