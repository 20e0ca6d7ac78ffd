import { type Batch, deadlineNearMs, type LaneTable, type RequestJob, type RetryPolicy } from '@promptmill/core';
import { type Cursor, type LaneTurns, requestJobOptions } from '@promptmill/queue';
import type { Queue } from 'bullmq';
import { DispatchBlockedError } from './dispatch-blocked-error.ts';
import type { InputRequest } from './read-requests.ts';

export interface AddRequestsOptions {
  readonly lanes: LaneTable;
  readonly queueOf: (lane: string) => Queue<RequestJob>;
  readonly turns: LaneTurns;
  readonly retry: RetryPolicy;
}

export interface IndexedRequest extends InputRequest {
  readonly index: number;
}

/**
 * Adds requests of a batch to their lanes, in order, and gives the position after the last in each lane. Adding one again
 * whose job is there changes nothing. Throws DispatchBlockedError `no_lane`.
 */
export const createAddRequests = ({ lanes, queueOf, turns, retry }: AddRequestsOptions) => {
  const toJob = (batch: Batch, { index, request, bytes }: IndexedRequest): [lane: string, job: RequestJob] => {
    const { customId, url, body } = request;
    const route = lanes.route(body.model);
    if (!route)
      throw new DispatchBlockedError(
        'no_lane',
        `No provider in the configuration takes the model ${body.model} any more.`,
      );
    const { name, fallback } = route.lane;
    const job: RequestJob = {
      batchId: batch.id,
      index,
      customId,
      url,
      body: { ...body, model: route.model },
      bytes,
      ...(fallback.length > 0 ? { fallback: { models: fallback, deadlineNearMs: deadlineNearMs(batch) } } : {}),
    };
    return [name, job];
  };

  return async (
    batch: Batch,
    requests: readonly IndexedRequest[],
    before: Cursor['positions'] = {},
  ): Promise<Cursor['positions']> => {
    const byLane = new Map<string, RequestJob[]>();
    for (const request of requests) {
      const [lane, job] = toJob(batch, request);
      const jobs = byLane.get(lane) ?? [];
      byLane.set(lane, jobs);
      jobs.push(job);
    }
    const ends = await Promise.all(
      [...byLane].map(async ([lane, jobs]) => {
        const queue = queueOf(lane);
        const start = await turns.next(queue, before[lane] ?? 0);
        await queue.addBulk(
          jobs.map((job, i) => ({ name: 'request', data: job, opts: requestJobOptions(job, start + i, retry) })),
        );
        const end = start + jobs.length;
        await turns.noteEnd(lane, end);
        return [lane, end] as const;
      }),
    );
    return { ...before, ...Object.fromEntries(ends) };
  };
};

export type AddRequests = ReturnType<typeof createAddRequests>;
