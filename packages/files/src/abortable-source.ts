/**
 * Yields the chunks of `source`. When `signal` aborts, it throws its reason at once, even while the source hangs.
 * One listener serves the whole stream: racing each chunk against one promise would leave a reaction for each chunk.
 */
export async function* abortableSource(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = source[Symbol.asyncIterator]();
  let reject: ((reason: unknown) => void) | undefined;
  const onAbort = () => reject?.(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  let ended = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await new Promise<IteratorResult<Uint8Array, unknown>>((resolve, rejectNext) => {
        reject = rejectNext;
        chunks.next().then(resolve, rejectNext);
      });
      if (next.done) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    // Not awaited: `return` of a generator that hangs in an await settles only after that await.
    if (!ended) void chunks.return?.().catch(() => {});
  }
}
