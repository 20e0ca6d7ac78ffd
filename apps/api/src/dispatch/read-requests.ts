import { fileKey, parseRequestLine, type RequestLine } from '@promptmill/core';
import { type FileStore, splitLines } from '@promptmill/files';

export interface InputRequest {
  readonly request: RequestLine;
  readonly bytes: number;
  /** Byte offset and 1-based number of the line after it. */
  readonly nextOffset: number;
  readonly nextLine: number;
}

/** The requests of a checked input file from a cursor on. Blank lines hold none. */
export async function* readRequests(
  files: FileStore,
  inputFileId: string,
  from: { readonly offset: number; readonly line: number },
): AsyncGenerator<InputRequest> {
  const source = await files.get(fileKey(inputFileId), { start: from.offset });
  const options = { maxLineBytes: Number.MAX_SAFE_INTEGER, startOffset: from.offset, startNumber: from.line };
  for await (const lines of splitLines(source, options))
    for (const line of lines) {
      if (line.oversize) throw new Error(`line ${line.number} of ${inputFileId} has changed since it was checked`);
      const text = line.bytes.toString();
      if (text.trim() === '') continue;
      const parsed = parseRequestLine(text);
      if (!parsed.ok) throw new Error(`line ${line.number} of ${inputFileId} has changed since it was checked`);
      const { request } = parsed;
      yield { request, bytes: line.nextOffset - line.offset, nextOffset: line.nextOffset, nextLine: line.number + 1 };
    }
}
