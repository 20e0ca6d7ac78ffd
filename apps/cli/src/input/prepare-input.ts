import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import type { LineDefaults } from './convert-line.ts';
import { type Conversion, convertInput, formatOfName } from './convert-input.ts';
import { plural } from '../format.ts';
import { writeFileWhole } from '../write-file-whole.ts';

export interface PreparedInput extends Conversion {
  readonly endpoint: string;
  /** SHA-256 of the input's bytes, in hex. */
  readonly digest: string;
}

export interface PrepareOptions {
  /** Where to write the converted input. */
  readonly path: string;
  readonly defaults: LineDefaults;
  readonly maxLineBytes: number;
}

/** What messages call an input. */
export const nameOfInput = (input: string): string => (input === '-' ? 'stdin' : input);

const openInput = (input: string, { stdin }: CliContext): AsyncIterable<Uint8Array> =>
  input === '-' ? stdin : createReadStream(input, { highWaterMark: 256 * 1024 });

const readError = (input: string, error: unknown): unknown => {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return new CliError('input_missing', `there is no file ${input}`);
  if (code === 'EISDIR') return new CliError('input_unreadable', `${input} is a folder; name a .txt or .jsonl file`);
  if (code === 'EACCES') return new CliError('input_unreadable', `${input} may not be read by this user`);
  return error;
};

const describeProblems = (name: string, { problems, badLines }: Conversion): string => {
  const listed = problems.map(
    ({ line, message, lines }) => `${name}:${line}: ${message}${lines > 1 ? ` (on ${plural(lines, 'line')})` : ''}`,
  );
  const unlisted = badLines - problems.reduce((sum, { lines }) => sum + lines, 0);
  return [...listed, ...(unlisted > 0 ? [`and problems on ${plural(unlisted, 'more line')}`] : [])].join('\n');
};

/**
 * Converts an input to lines of OpenAI's format, and writes them to `path`, whole or not at all.
 *
 * @param input the path of a file, or `-` for standard input.
 * @throws CliError `input_missing`, `input_unreadable`, `input_invalid` with a line for each problem, `input_empty`.
 */
export const prepareInput = async (
  input: string,
  { path, defaults, maxLineBytes }: PrepareOptions,
  context: CliContext,
): Promise<PreparedInput> => {
  const name = nameOfInput(input);
  const hash = createHash('sha256');
  const format = formatOfName(input);
  const found: { conversion?: Conversion } = {};

  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of openInput(input, context)) {
      context.signal.throwIfAborted();
      hash.update(chunk);
      yield chunk;
    }
  }
  async function* converted(): AsyncGenerator<string> {
    const conversion = yield* convertInput(hashed(), { ...(format ? { format } : {}), defaults, maxLineBytes });
    found.conversion = conversion;
    if (conversion.badLines > 0) throw new CliError('input_invalid', describeProblems(name, conversion));
  }

  try {
    await writeFileWhole(path, converted(), { access: 'private' });
  } catch (error) {
    throw readError(input, error);
  }
  const { conversion } = found;
  if (conversion?.endpoint === undefined) throw new CliError('input_empty', `${name} holds no prompts`);
  return { ...conversion, endpoint: conversion.endpoint, digest: hash.digest('hex') };
};
