import { type Batch, fileKey, parseRequestLine } from '@promptmill/core';
import { type FileStore, FileStoreError, readInput } from '@promptmill/files';
import { badRequest } from '../request-problem.ts';
import { type Failure, readFailure } from './read-failure.ts';

/** Which requests of a batch run again: those named by either field; without both, all that failed. */
export interface RetryChoice {
  readonly customIds?: readonly string[] | undefined;
  readonly errorCodes?: readonly string[] | undefined;
}

/** A message names this many at most, and counts the others. */
const maxNamed = 20;
const newline = Buffer.from('\n');

const open = async (files: FileStore, id: string, kind: 'input' | 'error') => {
  try {
    return await files.get(fileKey(id));
  } catch (error) {
    if (!(error instanceof FileStoreError && error.code === 'not_found')) throw error;
    throw badRequest({ message: `The ${kind} file ${id} of this batch is gone.`, code: 'file_not_found', param: null });
  }
};

async function* failedRequests(files: FileStore, batch: Batch): AsyncGenerator<Failure, undefined> {
  if (!batch.errorPublished) return;
  for await (const lines of readInput(await open(files, batch.errorFileId, 'error'), readFailure))
    for (const line of lines) if (!line.oversize) yield line.parsed;
}

const list = (names: readonly string[]): string => {
  const shown = names.slice(0, maxNamed).map((name) => `'${name}'`);
  return `${shown.join(', ')}${names.length > maxNamed ? ` and ${names.length - maxNamed} more` : ''}`;
};

const nothingChosen = ({ errorCodes }: RetryChoice): Error =>
  errorCodes
    ? badRequest({
        message: `No request of this batch failed with ${list(errorCodes)}.`,
        code: 'nothing_to_retry',
        param: 'error_codes',
      })
    : badRequest({ message: 'No request of this batch failed.', code: 'nothing_to_retry', param: null });

const unknownIds = (ids: readonly string[]): Error =>
  badRequest({ message: `This batch has no request ${list(ids)}.`, code: 'unknown_custom_id', param: 'custom_ids' });

/**
 * The input lines of the chosen requests, in order and byte for byte. Input and error file are read side by side, so that
 * memory does not grow with the batch. Throws a 400 when the choice names an unknown request, or chooses none.
 */
export async function* retryLines(files: FileStore, batch: Batch, choice: RetryChoice): AsyncGenerator<Uint8Array> {
  const { customIds, errorCodes } = choice;
  const named = new Set(customIds);
  const wantsFailed = errorCodes !== undefined || customIds === undefined;
  const failures = wantsFailed ? failedRequests(files, batch) : undefined;
  try {
    let failed = (await failures?.next())?.value;
    let chosen = 0;
    const wantedCodes = errorCodes && new Set(errorCodes);
    const isWanted = ({ codes }: Failure): boolean => !wantedCodes || codes.some((code) => wantedCodes.has(code));
    for await (const lines of readInput(await open(files, batch.inputFileId, 'input'), parseRequestLine)) {
      const parts: Buffer[] = [];
      for (const line of lines) {
        if (line.oversize || !line.parsed.ok) continue;
        const { customId } = line.parsed.request;
        const failure = failed?.customId === customId ? failed : undefined;
        if (failure) failed = (await failures?.next())?.value;
        if (!named.delete(customId) && !(failure && isWanted(failure))) continue;
        parts.push(line.bytes, newline);
        chosen++;
      }
      if (parts.length > 0) yield Buffer.concat(parts);
    }
    if (named.size > 0) throw unknownIds([...named]);
    if (chosen === 0) throw nothingChosen(choice);
  } finally {
    await failures?.return(undefined);
  }
}
