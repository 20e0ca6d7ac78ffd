import { type FileStore, InputChangedError, type InputRequest, readRequests as read } from '@promptmill/files';
import type { InputPlace } from '@promptmill/queue';
import { DispatchBlockedError } from './dispatch-blocked-error.ts';

export type { InputRequest };

/**
 * Reads the requests of a checked input file from a place on. Throws DispatchBlockedError `input_changed` when the file is
 * gone or a line is no request any more.
 */
export async function* readRequests(
  files: FileStore,
  inputFileId: string,
  from: InputPlace,
): AsyncGenerator<InputRequest> {
  try {
    yield* read(files, inputFileId, from);
  } catch (error) {
    if (error instanceof InputChangedError) throw new DispatchBlockedError(error.code, error.message);
    throw error;
  }
}
