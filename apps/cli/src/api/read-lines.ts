import { splitLines } from '@promptmill/files';

/** Yields the lines of a text without their endings. It trusts the text: a line may have any length. */
export async function* readLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  for await (const lines of splitLines(source, { maxLineBytes: Number.MAX_SAFE_INTEGER })) {
    for (const line of lines) if (!line.oversize) yield line.bytes.toString();
  }
}
