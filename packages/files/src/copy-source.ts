import { abortableSource } from './abortable-source.ts';

const blockBytes = 256 * 1024;

export interface CopiedSource {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** How many bytes were read. */
  bytes(): number;
  /** What the source threw, or the signal's reason, unchanged: the reader of `chunks` may have wrapped it. */
  failure(): { readonly reason: unknown } | undefined;
}

/**
 * Copies the bytes of `source` into new blocks, for a reader that keeps them: a source may use a chunk's memory again,
 * and a small chunk may keep a large buffer alive.
 */
export function copySource(source: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): CopiedSource {
  let bytes = 0;
  let failure: { readonly reason: unknown } | undefined;

  async function* watched(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* signal ? abortableSource(source, signal) : source;
    } catch (reason) {
      failure = { reason };
      throw reason;
    }
  }

  async function* copy(): AsyncGenerator<Uint8Array, void, undefined> {
    let block = Buffer.allocUnsafeSlow(blockBytes);
    let filled = 0;
    for await (const chunk of watched()) {
      bytes += chunk.length;
      for (let at = 0; at < chunk.length;) {
        const part = chunk.subarray(at, at + blockBytes - filled);
        block.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled < blockBytes) continue;
        yield block;
        block = Buffer.allocUnsafeSlow(blockBytes);
        filled = 0;
      }
    }
    if (filled > 0) yield block.subarray(0, filled);
  }

  return { chunks: copy(), bytes: () => bytes, failure: () => failure };
}
