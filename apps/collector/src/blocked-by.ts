import type { Blocked } from '@promptmill/core';
import { FileStoreError, type FileStoreErrorCode, TornSegmentError } from '@promptmill/files';

/** The segments hold fewer results than were collected. */
export class ResultsMissingError extends Error {
  override readonly name = 'ResultsMissingError';
  readonly code = 'results_missing';

  constructor(found: number, expected: number) {
    super(`Only ${found} of ${expected} results are in the file store.`);
  }
}

/** The input file is not what was checked at its upload: an index may now mean another request. */
export class InputChangedError extends Error {
  override readonly name = 'InputChangedError';
  readonly code = 'input_changed';

  constructor(what: string) {
    super(`The input file has changed since it was checked: ${what}.`);
  }
}

const storeMessages: Readonly<Partial<Record<FileStoreErrorCode, string>>> = {
  no_space: 'The file store is full.',
  read_only: 'The file store cannot be written.',
  not_found: 'A file that the batch needs is not in the file store.',
  unavailable: 'The file store does not answer as it should.',
};

const whatIsWrong = (error: unknown): Blocked => {
  if (error instanceof ResultsMissingError || error instanceof TornSegmentError || error instanceof InputChangedError)
    return error;
  const message = error instanceof FileStoreError ? storeMessages[error.code] : undefined;
  if (error instanceof FileStoreError && message !== undefined) return { code: error.code, message };
  return { code: 'internal_error', message: 'The collector had an error; its log says which.' };
};

/** What a batch's owner is told of an error that blocks the batch. The error's own message may name paths. */
export const blockedBy = (error: unknown): Blocked => {
  const { code, message } = whatIsWrong(error);
  return { code, message: `${message} The batch goes on by itself once the cause is gone.` };
};
