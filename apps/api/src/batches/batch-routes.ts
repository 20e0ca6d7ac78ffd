import {
  batchObject,
  batchPage,
  batchParams,
  batchQuery,
  eventsQuery,
  failuresPage,
  failuresQuery,
  progressList,
  requestList,
  requestsQuery,
  resultsPage,
  resultsQuery,
} from './batch-schemas.ts';
import { createBatchBody, createBatchKind, resumeBatchBody, retryBatchBody } from './create-batch-schemas.ts';
import { cancelBatch } from './cancel-batch.ts';
import { countFailures } from './count-failures.ts';
import { createBatch } from './create-batch.ts';
import { getBatch } from './get-batch.ts';
import { listBatches } from './list-batches.ts';
import { pauseBatch } from './pause-batch.ts';
import { readInputLines } from './read-input-lines.ts';
import { readResults } from './read-results.ts';
import { resumeBatch } from './resume-batch.ts';
import { retryBatch } from './retry-batch.ts';
import { showProgress } from './show-progress.ts';
import { watchEvents } from './watch-events.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { idempotencyHeaders } from '../idempotency.ts';
import { type AnyRoute, route } from '../route.ts';
import { estimateBatch } from '../spending/estimate-batch.ts';
import { batchEstimate } from '../spending/spending-schemas.ts';

const inlineLimit = { maxBytes: 4 * 2 ** 20, instead: 'Upload the prompts as a file instead (POST /v1/files).' };

/** The routes of batches. */
export const createBatchRoutes = (dependencies: ApiDependencies): AnyRoute[] => [
  route({
    method: 'post',
    path: '/v1/batches',
    summary: 'Create a batch, from an input file or from prompts',
    tag: 'Batches',
    audit: 'batch.create',
    headers: idempotencyHeaders,
    body: createBatchBody,
    bodyKind: createBatchKind,
    bodyLimit: inlineLimit,
    answer: { description: 'The batch, about to be validated.', schema: batchObject },
    handle: createBatch(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/batches/estimate',
    summary: 'Estimate what a batch would use and cost, and make nothing',
    tag: 'Batches',
    body: createBatchBody,
    bodyKind: createBatchKind,
    bodyLimit: inlineLimit,
    answer: { description: 'The estimate.', schema: batchEstimate },
    handle: estimateBatch(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/batches',
    summary: 'List batches',
    tag: 'Batches',
    query: batchQuery,
    answer: { description: 'A page of batches, newest first.', schema: batchPage },
    handle: listBatches(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/batches/{batch_id}',
    summary: 'Retrieve a batch',
    tag: 'Batches',
    params: batchParams,
    answer: { description: 'The batch.', schema: batchObject },
    handle: getBatch(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/batches/{batch_id}/cancel',
    summary: 'Cancel a batch',
    tag: 'Batches',
    audit: 'batch.cancel',
    params: batchParams,
    answer: { description: 'The batch, being cancelled.', schema: batchObject },
    handle: cancelBatch(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/batches/{batch_id}/pause',
    summary: 'Pause a batch: no further call is made for it; its deadline stands',
    tag: 'Batches',
    audit: 'batch.pause',
    params: batchParams,
    answer: { description: 'The batch, paused.', schema: batchObject },
    handle: pauseBatch(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/batches/{batch_id}/resume',
    summary: 'Let a paused batch go on, with more money if it has reached its max_cost',
    tag: 'Batches',
    audit: 'batch.resume',
    params: batchParams,
    body: resumeBatchBody,
    answer: { description: 'The batch, running.', schema: batchObject },
    handle: resumeBatch(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/batches/{batch_id}/retry',
    summary: 'Run requests of an ended batch again, as a new batch: all that failed, or those named',
    tag: 'Batches',
    audit: 'batch.retry',
    params: batchParams,
    headers: idempotencyHeaders,
    body: retryBatchBody,
    answer: { description: 'The new batch, about to be validated.', schema: batchObject },
    handle: retryBatch(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/batches/{batch_id}/results',
    summary: 'Read results while the batch runs, and after',
    tag: 'Batches',
    params: batchParams,
    query: resultsQuery,
    answer: { description: 'A page of results.', schema: resultsPage },
    handle: readResults(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/batches/{batch_id}/failures',
    summary: 'Count what failed, by code, each with an example',
    tag: 'Batches',
    params: batchParams,
    query: failuresQuery,
    answer: { description: 'The failures among the results that this call has looked at.', schema: failuresPage },
    handle: countFailures(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/batches/{batch_id}/requests',
    summary: 'Read some lines of the input',
    tag: 'Batches',
    params: batchParams,
    query: requestsQuery,
    answer: { description: 'Those of the lines that there are, in order.', schema: requestList },
    handle: readInputLines(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/batches/{batch_id}/progress',
    summary: 'Read how far the batch was over time',
    tag: 'Batches',
    params: batchParams,
    answer: { description: 'Points of its curve.', schema: progressList },
    handle: showProgress(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/batches/{batch_id}/events',
    summary: 'Watch a batch',
    tag: 'Batches',
    params: batchParams,
    query: eventsQuery,
    answer: {
      description:
        'Server-sent events: `progress` with the batch when it changes, `done` with it at its end, and when asked for, ' +
        '`delta` with `{"custom_id", "index", "offset", "delta"}`: text of the choice `index` that begins at `offset` ' +
        '(UTF-16 code units), and `"done": true` once that answer is complete. A slow reader misses deltas, and an ' +
        'attempt that breaks off is followed by one from offset 0; the result is always whole.',
      type: 'text/event-stream',
    },
    handle: watchEvents(dependencies),
  }),
];
