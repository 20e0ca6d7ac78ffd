import { pipeline } from 'node:stream/promises';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { BatchParams, ResultsQuery } from './batch-schemas.ts';
import { findBatch } from './find-batch.ts';
import { mostLooked, openResults, type ResultSource } from './open-results.ts';
import { createResultFilter, type ResultFilter } from './result-filter.ts';

/** The JSON text of a page of results. Results are not parsed, and are in memory one at a time. */
async function* pageText({ results, from, mayHaveMore }: ResultSource, limit: number, matches?: ResultFilter) {
  let separator = '{"object":"list","data":[';
  let count = 0;
  let looked = 0;
  let next = from;
  let hasMore = mayHaveMore;
  for await (const result of results) {
    if (count === limit || (matches && looked > mostLooked.bytes)) {
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
    const matches = createResultFilter(query);
    const atMost = matches ? mostLooked.segments : limit;
    const source = await openResults({ batches, files }, batch, { after, status, atMost });
    const page = pageText(source, limit, matches);
    // A failure shows here, while the answer can still be an error.
    const first = await page.next();
    response.type('application/json');
    await pipeline(async function* () {
      yield first.value ?? '';
      yield* page;
    }, response);
  };
