import { open, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type BatchObject, field, indexOfRequestId, type ResultError, resultLine } from '@promptmill/core';
import type { ApiClient } from '../api/api-client.ts';
import { customIdOf, type MergedResult } from './merge-results.ts';

export interface ResultsSoFarOptions {
  readonly client: ApiClient;
  /** No call of it is in flight. */
  readonly batch: BatchObject;
  /** Where results are kept until they are in order. The file is removed in the end. */
  readonly scratchPath: string;
  /** The error in the place of each request that has no result. */
  readonly missing: ResultError;
  readonly signal: AbortSignal;
}

const pageSize = 1000;
const pollMs = 250;
/** The collector takes about a second. */
const mostPolls = 40;

const isSuccess = (result: unknown): boolean => {
  const status = field(field(result, 'response'), 'status_code');
  return field(result, 'error') === null && typeof status === 'number' && status >= 200 && status < 300;
};

/**
 * Yields one result for each request of a batch that has not ended, in input order. Results come from the server in the order
 * in which they were collected, so they go through a file; memory holds 13 bytes for each request.
 */
export async function* resultsSoFar({
  client,
  batch,
  scratchPath,
  missing,
  signal,
}: ResultsSoFarOptions): AsyncGenerator<MergedResult> {
  const { total, completed, failed } = batch.request_counts;
  const offsets = new Float64Array(total);
  const lengths = new Uint32Array(total);
  const successes = new Uint8Array(total);
  const scratch = await open(scratchPath, 'w+', 0o600);
  let end = 0;

  /** Returns how many of them are new. */
  const keep = async (results: readonly unknown[]): Promise<number> => {
    const lines: Buffer[] = [];
    for (const result of results) {
      const index = indexOfRequestId(String(field(result, 'id')));
      // Rarely, one comes twice.
      if (index === undefined || index >= total || lengths[index] !== 0) continue;
      const line = Buffer.from(JSON.stringify(result));
      offsets[index] = end;
      lengths[index] = line.length;
      successes[index] = isSuccess(result) ? 1 : 0;
      end += line.length;
      lines.push(line);
    }
    await scratch.appendFile(Buffer.concat(lines));
    return lines.length;
  };

  try {
    let after: string | undefined;
    let found = 0;
    for (let polls = 0; found < completed + failed && polls < mostPolls; polls++) {
      if (polls > 0) await delay(pollMs, undefined, { signal });
      let hasMore = true;
      while (hasMore) {
        const page = await client.listResults(batch.id, { after, limit: pageSize });
        found += await keep(page.data);
        after = page.next;
        hasMore = page.has_more;
      }
    }
    let index = 0;
    for await (const text of client.fileLines(batch.input_file_id, signal)) {
      if (text.trim() === '') continue;
      const length = lengths[index] ?? 0;
      if (length > 0) {
        const { buffer } = await scratch.read(Buffer.alloc(length), 0, length, offsets[index]);
        yield { line: buffer.toString(), from: successes[index] === 1 ? 'output' : 'errors' };
      } else {
        const request = { batchId: batch.id, index, customId: customIdOf(text) };
        yield { line: resultLine(request, { kind: 'error', ...missing }), from: 'errors' };
      }
      index++;
    }
  } finally {
    await scratch.close();
    await rm(scratchPath, { force: true });
  }
}
