import { access, constants, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { CliError } from '../cli-error.ts';

const inputName = /^(.*?)(?:\.(txt|jsonl|ndjson|json|csv|tsv|parquet))?(?:\.gz)?$/is;
const tableExtensions = new Set(['csv', 'tsv', 'parquet']);

/** Where the results go: an absolute path, or `-` for standard output. By default a table becomes a table of its kind. */
export const outputOf = (input: string, output: string | undefined): string => {
  if (output !== undefined) return output === '-' ? '-' : resolve(output);
  if (input === '-') return '-';
  const [, base = input, extension = ''] = inputName.exec(input) ?? [];
  const kind = extension.toLowerCase();
  return resolve(`${base}.results.${tableExtensions.has(kind) ? kind : 'jsonl'}`);
};

/** Tells apart what is in the file of an output at different times. Undefined when there is no file. */
export const outputVersion = async (output: string): Promise<string | undefined> => {
  const found = output === '-' ? undefined : await stat(output).catch(() => undefined);
  return found && `${found.size} bytes at ${found.mtimeMs}`;
};

/**
 * Checks that `output` can be written, before any request is paid for.
 *
 * @throws CliError `output_unwritable`.
 */
export const assertWritable = async (output: string): Promise<void> => {
  if (output === '-') return;
  const found = await stat(output).catch(() => undefined);
  if (found?.isDirectory()) throw new CliError('output_unwritable', `${output} is a folder: name a file with -o`);
  try {
    await access(dirname(output), constants.W_OK);
  } catch (error) {
    const why = `cannot write ${output}: make the folder ${dirname(output)} first, or name another with -o`;
    throw new CliError('output_unwritable', why, { cause: error });
  }
};
