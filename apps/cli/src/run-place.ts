import { createHash } from 'node:crypto';
import { access, constants, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CliError } from './cli-error.ts';
import type { PromptOptions } from './prompt-options.ts';

/** Where the results go: an absolute path, or `-` for standard output. */
export const outputOf = (input: string, output: string | undefined): string => {
  if (output !== undefined) return output === '-' ? '-' : resolve(output);
  return input === '-' ? '-' : resolve(`${input.replace(/\.(txt|jsonl|ndjson)$/i, '')}.results.jsonl`);
};

/** @throws CliError `output_unwritable`, before anything is paid for. */
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

/**
 * The folder of one run: the same input, options and output find it again, whatever the process. Each has a Redis and
 * files of its own, so that a run that was left alone does not go on, and cost, behind another one.
 */
export const runFolder = (
  dataDirectory: string,
  inputDigest: string,
  { model, system, maxTokens, temperature, completionWindow }: PromptOptions,
  output: string,
): string => {
  const identity = JSON.stringify([inputDigest, model, system, maxTokens, temperature, completionWindow, output]);
  return join(dataDirectory, 'runs', createHash('sha256').update(identity).digest('hex').slice(0, 24));
};
