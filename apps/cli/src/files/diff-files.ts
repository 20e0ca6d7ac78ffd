import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InputFormat } from '@promptmill/files';
import type { CliContext } from '../context.ts';
import { formatCount } from '@promptmill/core/display';
import { printableLine } from '../terminal.ts';
import { type Difference, findDifferences } from './find-differences.ts';
import { type KeyedAnswer, keyedAnswer } from './keyed-answer.ts';
import { openRecords, type RecordFile } from './open-records.ts';

export interface DiffFilesOptions {
  /** The column or property that tells requests apart. */
  readonly id: string;
  readonly format?: InputFormat;
  readonly json?: boolean;
}

/** Files below it are compared in memory. */
const smallBytes = 32 * 2 ** 20;
const manyBuckets = 64;
const shownChars = 200;

const sizeOf = async (input: string): Promise<number> =>
  (input === '-' ? undefined : await stat(input).catch(() => undefined))?.size ?? Number.POSITIVE_INFINITY;

async function* answersOf(file: RecordFile, id: string): AsyncGenerator<KeyedAnswer> {
  for await (const record of file.records()) yield keyedAnswer(record, id, file);
}

const shortened = (text: string): string =>
  printableLine(text.length > shownChars ? `${text.slice(0, shownChars)}…` : text);

const textOf = ({ id, change, before, after }: Difference): string =>
  [
    `${change} ${printableLine(id)}`,
    ...(before === null ? [] : [`  - ${shortened(before)}`]),
    ...(after === null ? [] : [`  + ${shortened(after)}`]),
  ].join('\n');

/** Prints how the answers in two files of results differ. The exit code is 1 when they do. */
export const diffFiles = async (
  before: string,
  after: string,
  { id, format, json }: DiffFilesOptions,
  context: CliContext,
): Promise<number> => {
  const { stdout, stdoutIsTerminal, screen, signal } = context;
  await using stack = new AsyncDisposableStack();
  const first = stack.use(await openRecords(before, format, context));
  const second = stack.use(await openRecords(after, format, context));
  const folder = await mkdtemp(join(tmpdir(), 'promptmill-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));

  const counts = { equal: 0, changed: 0, added: 0, removed: 0 };
  const isSmall = (await sizeOf(before)) + (await sizeOf(after)) < smallBytes;
  const differences = findDifferences(
    { before: answersOf(first, id), after: answersOf(second, id), folder, buckets: isSmall ? 1 : manyBuckets },
    counts,
  );
  const isJson = json === true || !stdoutIsTerminal;
  for await (const difference of differences) {
    signal.throwIfAborted();
    const { id: customId, ...rest } = difference;
    const text = isJson ? JSON.stringify({ custom_id: customId, ...rest }) : textOf(difference);
    if (!stdout.write(`${text}\n`)) await once(stdout, 'drain');
  }
  screen.write(
    `${formatCount(counts.changed)} changed, ${formatCount(counts.removed)} only in ${first.name}, ` +
      `${formatCount(counts.added)} only in ${second.name}, ${formatCount(counts.equal)} equal\n`,
  );
  return counts.changed + counts.added + counts.removed === 0 ? 0 : 1;
};
