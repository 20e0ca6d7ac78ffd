import { ApiError } from '@promptmill/core';

/** The error for a file, or a part of one, that is too large. */
export const tooLarge = (what: 'file' | 'part', maxBytes: number, param: string): ApiError =>
  new ApiError(413, `The ${what} is larger than ${maxBytes} bytes.`, { code: `${what}_too_large`, param });

/**
 * Yields the chunks of `source`. Throws `error` when they have more than `maxBytes` together.
 *
 * @param beforeChunk is awaited before each chunk, with the bytes so far
 */
export async function* upTo(
  maxBytes: number,
  source: AsyncIterable<Uint8Array>,
  { error, beforeChunk }: { readonly error: ApiError; readonly beforeChunk: (bytes: number) => Promise<void> },
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw error;
    await beforeChunk(bytes);
    yield chunk;
  }
}
