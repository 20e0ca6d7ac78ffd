import { pipeline } from 'node:stream/promises';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { BatchParams, ResultsQuery } from './batch-schemas.ts';
import { findBatch } from './find-batch.ts';
import { openResults, type ResultSource } from './open-results.ts';
import { createResultFilter, type ResultFilter } from './result-filter.ts';

/** Bytes of results that one call looks at when it has a filter. */
const maxLookedBytes = 16 * 2 ** 20;

/** The JSON text of a page of results. Results are not parsed, and are in memory one at a time. */
async function* pageText({ results, from, mayHaveMore }: ResultSource, limit: number, matches?: ResultFilter) {
  let separator = '{"object":"list","data":[';
  let count = 0;
  let looked = 0;
  let next = from;
  let hasMore = mayHaveMore;
  for await (const result of results) {
    if (count === limit || (matches && looked > maxLookedBytes)) {
      hasMore = true;
      break;
    }
    ({ next } = result);
    looked += result.line.length;
    if (matches && !matches(result)) continue;
    yield separator + result.line.toString();
    separator = ',';
    count++;
  }
  yield `${count === 0 ? separator : ''}],"next":"${next}","has_more":${hasMore}}`;
}

/**
 * `GET /v1/batches/{batch_id}/results`: the results collected so far, in the order of collection, while the batch runs
 * and after.
 */
export const readResults =
  ({ batches, files }: Pick<ApiDependencies, 'batches' | 'files'>) =>
  async ({ tenant, params, query, response }: Call<BatchParams, ResultsQuery>): Promise<void> => {
    const batch = await findBatch(batches, tenant, params.batch_id);
    const { limit, after, status } = query;
    const source = await openResults({ batches, files }, batch, { after, status, atMost: limit });
    const page = pageText(source, limit, createResultFilter(query));
    // A failure shows here, while the answer can still be an error.
    const first = await page.next();
    response.type('application/json');
    await pipeline(async function* () {
      yield first.value ?? '';
      yield* page;
    }, response);
  };
