import { type Batch, deadlineNearMs, type LaneTable, type RequestJob, type RetryPolicy } from '@promptmill/core';
import { type Cursor, type LaneTurns, requestJobOptions } from '@promptmill/queue';
import type { Queue } from 'bullmq';
import { DispatchBlockedError } from './dispatch-blocked-error.ts';
import type { InputRequest } from './read-requests.ts';

export interface AddRequestsOptions {
  readonly lanes: LaneTable;
  readonly queueOf: (lane: string) => Queue<RequestJob>;
  readonly turns: LaneTurns;
  /** A tenant's share of a lane, as a multiple of another's. */
  readonly weightOf: (tenant: string) => number;
  readonly retry: RetryPolicy;
}

export interface AddedRequests {
  /** For each lane that the batch's requests have come to: the position after the last. */
  readonly positions: Cursor['positions'];
  /** The most batches that the tenant has in one of the chunk's lanes. 0 when the chunk was empty. */
  readonly batchesInLane: number;
}

/**
 * Adds a chunk of a batch's requests to their lanes, in order, behind those that are there. Adding a request whose job
 * exists changes nothing. Throws DispatchBlockedError `no_lane`.
 */
export const createAddRequests = ({ lanes, queueOf, turns, weightOf, retry }: AddRequestsOptions) => {
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
      ...(fallback.length > 0
        ? { fallback: { models: fallback, deadlineNearMs: deadlineNearMs(batch), tenant: batch.tenant } }
        : {}),
    };
    return [name, job];
  };

  const addToLane = async ({ id, tenant }: Batch, lane: string, jobs: readonly RequestJob[], isNew: boolean) => {
    const user = { tenant, weight: weightOf(tenant), batchId: id, isNew };
    const { positions, batches } = await turns.take(lane, user, jobs.length);
    const end = positions.at(-1) ?? 0;
    await queueOf(lane).addBulk(
      jobs.map((job, i) => ({ name: 'request', data: job, opts: requestJobOptions(job, positions[i] ?? end, retry) })),
    );
    return { lane, end, batches };
  };

  /** @param before the positions that the batch's last chunk gave */
  return async (
    batch: Batch,
    requests: readonly InputRequest[],
    before: Cursor['positions'],
  ): Promise<AddedRequests> => {
    const byLane = new Map<string, RequestJob[]>();
    for (const request of requests) {
      const [lane, job] = toJob(batch, request);
      const jobs = byLane.get(lane);
      if (jobs) jobs.push(job);
      else byLane.set(lane, [job]);
    }
    const added = await Promise.all(
      [...byLane].map(([lane, jobs]) => addToLane(batch, lane, jobs, before[lane] === undefined)),
    );
    return {
      positions: { ...before, ...Object.fromEntries(added.map(({ lane, end }) => [lane, end])) },
      batchesInLane: Math.max(0, ...added.map(({ batches }) => batches)),
    };
  };
};

export type AddRequests = ReturnType<typeof createAddRequests>;
