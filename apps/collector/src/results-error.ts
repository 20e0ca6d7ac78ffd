import type { Blocked } from '@promptmill/core';
import { FileStoreError, type FileStoreErrorCode } from '@promptmill/files';

/**
 * What is in the segments is not what it should be: `torn_segment`, one is damaged; `results_missing`, they hold too
 * few. Its message is shown to the batch's owner.
 */
export class ResultsError extends Error {
  override readonly name = 'ResultsError';
  readonly code: 'torn_segment' | 'results_missing';

  constructor(code: ResultsError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const storeMessages: Readonly<Partial<Record<FileStoreErrorCode, string>>> = {
  no_space: 'The file store is full. The batch goes on when there is room.',
  read_only: 'The file store cannot be written. The batch goes on when it can.',
  not_found: 'A file that the batch needs is not in the file store. The batch goes on when it is restored.',
};

/** What the owner of a batch is told of an error that holds it up: an error of the store itself names paths. */
export const blockedBy = (error: unknown): Blocked => {
  if (error instanceof ResultsError) return { code: error.code, message: error.message };
  if (error instanceof FileStoreError)
    return {
      code: error.code,
      message: storeMessages[error.code] ?? 'The file store does not answer as it should. It is tried again.',
    };
  return { code: 'internal_error', message: 'The collector had an error, which its log tells of. It is tried again.' };
};
