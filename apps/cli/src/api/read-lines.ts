import { splitLines } from '@promptmill/files';

/** The lines of a text that Promptmill wrote itself, without their endings. */
export async function* readLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  for await (const lines of splitLines(source, { maxLineBytes: Number.MAX_SAFE_INTEGER })) {
    for (const line of lines) if (!line.oversize) yield line.bytes.toString();
  }
}
