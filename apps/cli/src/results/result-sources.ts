import type { BatchObject } from '@promptmill/core';
import type { ApiClient } from '../api/api-client.ts';
import { type MergedResult, mergeResults, type MergeSources } from './merge-results.ts';

async function* nothing(): AsyncGenerator<string> {}

/**
 * Streams the three files of a batch that has ended from the server, line by line.
 *
 * @param retries batches each of which ran again all that failed in the one before it.
 * @param last results that take the place of what failed in the last of them. Default: none.
 */
export const resultSources = (
  client: ApiClient,
  [batch, ...retries]: readonly [BatchObject, ...BatchObject[]],
  signal: AbortSignal,
  last?: AsyncGenerator<MergedResult>,
): MergeSources => {
  const linesOf = (id: string | null) => (id === null ? nothing() : client.fileLines(id, signal));
  const [next, ...later] = retries;
  return {
    input: linesOf(batch.input_file_id),
    output: linesOf(batch.output_file_id),
    errors: linesOf(batch.error_file_id),
    retry: next ? mergeResults(resultSources(client, [next, ...later], signal, last)) : last,
  };
};
