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

/**
 * Adds requests of a batch to their lanes, in order. Called with a batch, it gives a function that adds a chunk and
 * resolves with the batch's next position in each lane; the next chunk is added with these positions. Adding a request
 * whose job exists changes nothing. Throws DispatchBlockedError `no_lane`.
 */
export const createAddRequests = ({ lanes, queueOf, turns, retry }: AddRequestsOptions) => {
  const toJob = (batch: Batch, { index, request, bytes }: InputRequest): [lane: string, job: RequestJob] => {
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

  return (batch: Batch) => {
    /** The lanes that were asked for their turn. Later chunks follow the first one without asking again. */
    const asked = new Set<string>();

    const addToLane = async (lane: string, jobs: readonly RequestJob[], last: number): Promise<number> => {
      const queue = queueOf(lane);
      const start = asked.has(lane) ? last : await turns.next(queue, last);
      asked.add(lane);
      const end = start + jobs.length;
      const added = queue.addBulk(
        jobs.map((job, i) => ({ name: 'request', data: job, opts: requestJobOptions(job, start + i, retry) })),
      );
      await Promise.all([added, turns.noteEnd(lane, end)]);
      return end;
    };

    return async (
      requests: readonly InputRequest[],
      before: Cursor['positions'] = {},
    ): Promise<Cursor['positions']> => {
      const byLane = new Map<string, RequestJob[]>();
      for (const request of requests) {
        const [lane, job] = toJob(batch, request);
        const jobs = byLane.get(lane);
        if (jobs) jobs.push(job);
        else byLane.set(lane, [job]);
      }
      const ends = await Promise.all(
        [...byLane].map(async ([lane, jobs]) => [lane, await addToLane(lane, jobs, before[lane] ?? 0)] as const),
      );
      return { ...before, ...Object.fromEntries(ends) };
    };
  };
};

export type AddRequests = ReturnType<typeof createAddRequests>;
