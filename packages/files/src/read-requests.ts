import { fileKey, readCheckedLine, type RequestLine } from '@promptmill/core';
import { type FileStore, FileStoreError } from './file-store.ts';
import { readInput } from './read-input.ts';

export interface InputRequest {
  readonly index: number;
  readonly request: RequestLine;
  readonly bytes: number;
  /** Byte offset and 1-based number of the next line. */
  readonly nextOffset: number;
  readonly nextLine: number;
}

/** Thrown where an input file is not as it was when it was checked. */
export class InputChangedError extends Error {
  override readonly name = 'InputChangedError';
  readonly code = 'input_changed';
}

const open = async (files: FileStore, inputFileId: string, start: number) => {
  try {
    return await files.get(fileKey(inputFileId), { start });
  } catch (error) {
    const isGone = error instanceof FileStoreError && error.code === 'not_found';
    throw isGone ? new InputChangedError(`The input file ${inputFileId} is gone.`) : error;
  }
};

/**
 * Reads the requests of a checked input file from a place on: an index, with the byte offset and 1-based number of its line.
 * Throws InputChangedError when the file is gone or a line is no request any more, and FileStoreError.
 */
export async function* readRequests(
  files: FileStore,
  inputFileId: string,
  from: { readonly index: number; readonly offset: number; readonly line: number },
): AsyncGenerator<InputRequest> {
  const source = await open(files, inputFileId, from.offset);
  const place = { startOffset: from.offset, startNumber: from.line };
  let { index } = from;
  for await (const lines of readInput(source, readCheckedLine, place))
    for (const line of lines) {
      if (line.oversize || !line.parsed)
        throw new InputChangedError(
          `Line ${line.number} of the input file ${inputFileId} has changed since it was checked.`,
        );
      const { number, offset, nextOffset, parsed: request } = line;
      yield { index, request, bytes: nextOffset - offset, nextOffset, nextLine: number + 1 };
      index++;
    }
}
