import { mkdir, readdir, rmdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { formatOfName, type InputFormat } from '@promptmill/files';
import { CliError } from '../cli-error.ts';
import { outputOf } from '../results/output-place.ts';

export interface FindInputsOptions {
  readonly output?: string;
  readonly answers?: boolean;
  readonly format?: InputFormat | undefined;
}

/** One input and where its results go. */
export interface RunFile {
  /** The path of a file, or `-` for standard input. */
  readonly input: string;
  /** An absolute path, or `-` for standard output. */
  readonly output: string;
}

export interface RunFiles {
  readonly files: readonly RunFile[];
  /** The folder of the results, when the input is a folder. `-` for standard output. */
  readonly outputFolder: string | undefined;
  /** What of a folder is left out, each with the reason. */
  readonly skipped: readonly string[];
}

const namesFile = /\.(?:jsonl|ndjson|csv|tsv|parquet|txt|md)$/i;

const isFolder = async (path: string): Promise<boolean> =>
  path !== '-' && ((await stat(path).catch(() => undefined))?.isDirectory() ?? false);

/** Why something in a folder is not run; undefined when it is. */
const reasonToSkip = async (path: string, format: InputFormat | undefined): Promise<string | undefined> => {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return 'a folder';
  if (basename(path).startsWith('.')) return 'hidden';
  if (!found?.isFile()) return 'no file';
  return format === undefined && formatOfName(path) === undefined ? 'unknown ending' : undefined;
};

const outputFolderOf = async (input: string, { output, answers = false }: FindInputsOptions): Promise<string> => {
  if (answers || output === '-') return '-';
  const folder = resolve(output ?? `${input.replace(/\/+$/, '')}.results`);
  if (folder === resolve(input))
    throw new CliError('output_is_input', `${input} is the input: name another folder with -o`);
  const found = await stat(folder).catch(() => undefined);
  const isFile = found ? !found.isDirectory() : namesFile.test(folder);
  if (isFile)
    throw new CliError(
      'output_unwritable',
      `${input} is a folder, so its results need one too: name a folder with -o, such as -o answers/`,
    );
  return folder;
};

/** @throws CliError `output_unwritable` when the results of two files would have one name. */
const assertApart = (files: readonly RunFile[]): void => {
  const inputs = new Map<string, string>();
  for (const { input, output } of files) {
    const other = output === '-' ? undefined : inputs.get(output);
    if (other !== undefined)
      throw new CliError(
        'output_unwritable',
        `the results of ${other} and ${input} would both go to ${output}: rename one of them`,
      );
    inputs.set(output, input);
  }
};

/**
 * Finds the files that a run takes: one, or those of a folder in the order of their names, each with the place of its
 * results. What lies in folders below is left out.
 *
 * @throws CliError `input_empty`, `output_is_input`, `output_unwritable`.
 */
export const findInputs = async (input: string, options: FindInputsOptions): Promise<RunFiles> => {
  const { output, answers = false, format } = options;
  if (!(await isFolder(input)))
    return {
      files: [{ input, output: outputOf(input, answers ? '-' : output) }],
      outputFolder: undefined,
      skipped: [],
    };
  const outputFolder = await outputFolderOf(input, options);
  const files: RunFile[] = [];
  const skipped: string[] = [];
  for (const name of (await readdir(input)).toSorted()) {
    const path = join(input, name);
    const reason = await reasonToSkip(path, format);
    if (reason !== undefined) skipped.push(`${name} (${reason})`);
    else
      files.push({
        input: path,
        output: outputFolder === '-' ? '-' : join(outputFolder, basename(outputOf(path, undefined))),
      });
  }
  if (files.length === 0)
    throw new CliError(
      'input_empty',
      `${input} has no file to run: .txt, .jsonl, .json, .csv, .tsv or .parquet, or any other with --format`,
    );
  assertApart(files);
  return { files, outputFolder, skipped };
};

/** Makes the folder of the results where it is missing. Disposed of, it is removed again if nothing is in it. */
export const openOutputFolder = async (folder: string | undefined): Promise<AsyncDisposable> => {
  const isMade = folder !== undefined && folder !== '-' && (await mkdir(folder, { recursive: true })) !== undefined;
  return {
    async [Symbol.asyncDispose]() {
      if (isMade) await rmdir(folder).catch(() => {});
    },
  };
};
