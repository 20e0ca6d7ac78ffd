import { isAnswer, type LoggedCall } from '../support/check-history.ts';

/** What happened to one large batch, line by line, so that memory stays flat. Its custom ids are `request-0` and on. */
export interface LargeHistory {
  readonly batchId: string;
  readonly requests: number;
  readonly output: AsyncIterable<string>;
  readonly errors: AsyncIterable<string>;
  /** The provider's call log. */
  readonly calls: AsyncIterable<string>;
}

export interface LargeHistoryCounts {
  readonly completed: number;
  readonly failed: number;
  readonly calls: number;
  /** Calls beyond one for each request. */
  readonly repeats: number;
}

/**
 * Checks P1 (each line once, in order) and P3 (the provider gave each result) for a large batch. Throws at the first
 * break. The caller checks the counts.
 */
export const checkLargeHistory = async (history: LargeHistory): Promise<LargeHistoryCounts> => {
  const { batchId, requests, output, errors } = history;
  const written = new Uint8Array(requests);
  const calls = new Uint8Array(requests);
  const answers = new Uint8Array(requests);

  let callCount = 0;
  for await (const line of history.calls) {
    const call = JSON.parse(line) as LoggedCall;
    if (!call.key?.startsWith(`${batchId}-`)) continue;
    const index = Number(call.key.slice(batchId.length + 1));
    callCount++;
    calls[index] = (calls[index] ?? 0) + 1;
    if (isAnswer(call)) answers[index] = (answers[index] ?? 0) + 1;
  }

  const readFile = async (lines: AsyncIterable<string>, name: string): Promise<number> => {
    let count = 0;
    let last = -1;
    for await (const line of lines) {
      const { custom_id: customId } = JSON.parse(line) as { custom_id: string };
      const index = Number(/^request-(\d+)$/.exec(customId)?.[1] ?? Number.NaN);
      if (!(index < requests)) throw new Error(`P1: the ${name} has ${customId}, which is not in the input`);
      if (index <= last) throw new Error(`P1: the ${name} has ${customId} out of order or twice`);
      if (written[index] === 1) throw new Error(`P1: ${customId} is in both files`);
      if (name === 'output file' && answers[index] === 0)
        throw new Error(`P3: ${customId} has a result that the provider never gave`);
      written[index] = 1;
      last = index;
      count++;
    }
    return count;
  };
  const completed = await readFile(output, 'output file');
  const failed = await readFile(errors, 'error file');
  const missing = written.indexOf(0);
  if (missing >= 0) throw new Error(`P1: request-${missing} has no result`);
  const called = calls.reduce((sum, count) => sum + Math.min(1, count), 0);
  return { completed, failed, calls: callCount, repeats: callCount - called };
};
