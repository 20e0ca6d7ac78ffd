import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  type Choose,
  type Conversion,
  convertInput,
  countRecords,
  createDuplicateFinder,
  describeProblems,
  type Duplicate,
  type InputFormat,
  isTable,
  partOf,
  placeOf,
  readRecords,
  takeAll,
  takeFirst,
  takeSample,
  textOfValue,
} from '@promptmill/files';
import { readLines } from '../api/read-lines.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { writeFileWhole } from '../write-file-whole.ts';
import { cliAdvice } from './cli-advice.ts';
import { compositionOf } from './composition.ts';
import { imageUrl } from './image-url.ts';
import { nameOfInput, openInput, type OpenedInput } from './open-input.ts';
import type { ResolvedPromptOptions } from './prompt-options.ts';

export interface PreparedInput extends Conversion {
  readonly format: InputFormat;
  readonly endpoint: string;
  /** SHA-256 of the input's bytes, and of the images that it names, in hex. */
  readonly digest: string;
}

export interface PrepareOptions {
  /** Where to write the converted input. */
  readonly path: string;
  /** Where to write what the input says of each request, a JSON object a line. Default: nowhere. */
  readonly rowsPath?: string | undefined;
  readonly options: ResolvedPromptOptions;
  readonly stream?: boolean | undefined;
  readonly maxLineBytes: number;
}

const maxListedDuplicates = 10;

const describeDuplicates = (name: string, format: InputFormat, duplicates: readonly Duplicate[]): string =>
  duplicates
    .map(
      ({ id, line: number, firstLine }) =>
        `${placeOf(name, format, number)}: the custom_id '${id}' is that of ${partOf(format)} ${firstLine} too`,
    )
    .join('\n');

/** The custom_ids of a converted input. Its lines have the numbers of the lines or rows that they come from. */
async function* customIds(path: string): AsyncGenerator<{ readonly id: string; readonly line: number }> {
  let number = 0;
  for await (const line of readLines(createReadStream(path))) {
    number++;
    if (line !== '') yield { id: (JSON.parse(line) as { custom_id: string }).custom_id, line: number };
  }
}

/** @throws CliError `prompt_missing` when a table has rows, and no template says what to ask of them. */
const assertHasPrompt = async (name: string, opened: OpenedInput, maxBytes: number): Promise<void> => {
  if (!isTable(opened.format)) return;
  for await (const [first] of readRecords(opened, maxBytes)) {
    if (first?.kind !== 'row') continue;
    const columns = Object.entries(first.values);
    const [longest] = columns.toSorted(([, a], [, b]) => textOfValue(b).length - textOfValue(a).length);
    throw new CliError(
      'prompt_missing',
      `${name} is a table with the columns ${columns.map(([column]) => column).join(', ')}: say what to ask of each ` +
        `row, such as --prompt 'Classify: {{${longest?.[0]}}}'`,
    );
  }
};

const chooserOf = async (
  { limit, sample, seed = 1 }: ResolvedPromptOptions,
  records: () => ReturnType<typeof readRecords>,
): Promise<Choose> => {
  if (limit !== undefined) return takeFirst(limit);
  return sample === undefined ? takeAll : takeSample({ size: sample, seed, total: await countRecords(records()) });
};

/**
 * Converts an input to lines of OpenAI's format, and writes them to `path`, whole or not at all.
 *
 * @param input the path of a file, or `-` for standard input.
 * @throws CliError `input_missing`, `input_unreadable`, `prompt_missing`, `input_invalid` with a line for each problem,
 * `input_empty`; InputError `format_unknown`, `template_invalid`, `input_invalid`.
 */
export const prepareInput = async (
  input: string,
  { path, rowsPath, options, stream, maxLineBytes }: PrepareOptions,
  context: CliContext,
): Promise<PreparedInput> => {
  const name = nameOfInput(input);
  const composition = compositionOf(options, stream);
  await using opened = await openInput({ input, format: options.format, scratchPath: path }, context);
  const { format } = opened;
  if (composition.rows === undefined) await assertHasPrompt(name, opened, maxLineBytes);
  const records = () => readRecords(opened, maxLineBytes);
  const choose = await chooserOf(options, records);

  const hash = createHash('sha256').update(opened.digest);
  let hasImages = false;
  const onRead = (bytes: Buffer): void => {
    hasImages = true;
    hash.update(bytes);
  };
  const folder = input === '-' ? '.' : dirname(input);
  const idColumn = composition.rows?.idColumn;
  const duplicates = idColumn === undefined ? undefined : createDuplicateFinder({ maxReported: maxListedDuplicates });
  const found: { conversion?: Conversion } = {};
  const rowsFile = rowsPath === undefined ? undefined : await open(rowsPath, 'wx', 0o600);

  async function* converted(): AsyncGenerator<string> {
    const blocks = convertInput(records(), {
      format,
      composition,
      maxLineBytes,
      advice: cliAdvice,
      choose,
      imageUrl: (value) => imageUrl(value, { folder, maxBytes: maxLineBytes, onRead }),
      onRequest: (customId, number) => duplicates?.add(customId, number),
    });
    for (;;) {
      const next = await blocks.next();
      if (next.done) {
        found.conversion = next.value;
        break;
      }
      context.signal.throwIfAborted();
      await rowsFile?.writeFile(next.value.rows);
      yield next.value.lines;
    }
    const { conversion } = found;
    if (conversion.badRecords > 0)
      throw new CliError('input_invalid', describeProblems(name, format, conversion).join('\n'));
    await rowsFile?.sync();
  }

  try {
    await writeFileWhole(path, converted(), { access: 'private' });
  } finally {
    await rowsFile?.close();
  }
  if (duplicates !== undefined && duplicates.candidateCount() > 0) {
    const equal = await duplicates.confirm(() => customIds(path));
    if (equal.length > 0) throw new CliError('input_invalid', describeDuplicates(name, format, equal));
  }
  const { conversion } = found;
  if (conversion?.endpoint === undefined) throw new CliError('input_empty', `${name} holds no prompts`);
  const digest = hasImages ? hash.digest('hex') : opened.digest;
  return { ...conversion, format, endpoint: conversion.endpoint, digest };
};
