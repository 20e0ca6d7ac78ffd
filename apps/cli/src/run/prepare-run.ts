import { randomUUID } from 'node:crypto';
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { AnswerSchema } from '@promptmill/core';
import type { Config } from '@promptmill/runtime';
import { checkModels } from '../input/check-models.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { type PreparedInput, prepareInput } from '../input/prepare-input.ts';
import { type PromptOptions, resolvePromptOptions } from '../input/prompt-options.ts';
import { hasColumns, type OutputFormat, outputFormatOf } from '../output/output-format.ts';
import { assertWritable } from '../results/output-place.ts';
import type { RunFile } from './find-inputs.ts';
import { stateFolder } from './state-folder.ts';

/** Options that tell how inputs become requests, and results an output. */
export interface RunInputOptions extends PromptOptions {
  readonly stream?: boolean;
  /** Writes the answers alone. */
  readonly answers?: boolean;
}

export interface PrepareRunOptions extends RunFile {
  readonly options: RunInputOptions;
  readonly config: Config;
}

export interface PreparedRun extends RunFile {
  readonly prepared: PreparedInput;
  /** The path of the converted input. */
  readonly inputPath: string;
  /** Where the input's rows are kept. Undefined when the output does not show them. */
  readonly rowsPath: string | undefined;
  readonly outputFormat: OutputFormat;
  /** The folder in which the run keeps its state between processes. */
  readonly folder: string;
  /** What each answer has to match. */
  readonly schema: AnswerSchema | undefined;
  /** The names of the providers that the run will call. */
  readonly providers: ReadonlySet<string>;
}

/**
 * Checks all that can be checked before anything starts, and writes the converted input into the run's folder.
 *
 * @throws CliError; it leaves no file behind then.
 */
export const prepareRun = async (
  { input, output, options, config }: PrepareRunOptions,
  context: CliContext,
): Promise<PreparedRun> => {
  const { dataDirectory, lanes, limits } = config;
  const { maxLineBytes } = limits;
  const outputFormat = options.answers ? 'text' : outputFormatOf(output);
  if (output === resolve(input))
    throw new CliError('output_is_input', `${input} is the input: name another file with -o`);
  await assertWritable(output);

  const runs = join(dataDirectory, 'runs');
  await mkdir(runs, { recursive: true, mode: 0o700 });
  // An earlier version may have made it wider.
  await chmod(runs, 0o700);
  const resolved = await resolvePromptOptions(options);
  const converted = join(runs, `new-${randomUUID()}.jsonl`);
  const convertedRows = hasColumns(outputFormat) ? `${converted}.rows` : undefined;
  try {
    const prepared = await prepareInput(
      input,
      { path: converted, rowsPath: convertedRows, options: resolved, stream: options.stream, maxLineBytes },
      context,
    );
    const providers = checkModels(prepared.models.keys(), lanes);
    const folder = stateFolder({ dataDirectory, inputDigest: prepared.digest, options: resolved, output });
    const inputPath = join(folder, 'input.jsonl');
    const rowsPath = convertedRows && join(folder, 'rows.jsonl');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if (convertedRows && rowsPath) await rename(convertedRows, rowsPath);
    await rename(converted, inputPath);
    return { input, output, prepared, inputPath, rowsPath, outputFormat, folder, schema: resolved.schema, providers };
  } finally {
    await rm(converted, { force: true });
    if (convertedRows) await rm(convertedRows, { force: true });
  }
};
