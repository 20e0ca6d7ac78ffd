import {
  type Batch,
  deadlineNearMs,
  fullModelName,
  type LaneTable,
  mayUseModel,
  modelNotAllowed,
  noUsage,
  type RequestJob,
  type RetryPolicy,
  type Route,
  type TenantLimits,
  type Tenants,
  toResult,
} from '@promptmill/core';
import { type Cursor, type LaneTurns, requestJobOptions, type ResultRecorder } from '@promptmill/queue';
import type { Queue } from 'bullmq';
import { DispatchBlockedError } from './dispatch-blocked-error.ts';
import type { InputRequest } from './read-requests.ts';

export interface AddRequestsOptions {
  readonly lanes: LaneTable;
  readonly queueOf: (lane: string) => Queue<RequestJob>;
  readonly turns: LaneTurns;
  readonly retry: RetryPolicy;
  readonly limitsOf: Tenants['limitsOf'];
  readonly recorder: Pick<ResultRecorder, 'record'>;
}

/**
 * Adds requests of a batch to their lanes, in order. Called with a batch, it gives a function that adds a chunk and
 * resolves with the batch's next position in each lane; the next chunk is added with these positions. Adding a request
 * whose job exists changes nothing. A request whose model its tenant may not use gets an error as its result. Throws
 * DispatchBlockedError `no_lane`.
 */
export const createAddRequests = ({ lanes, queueOf, turns, retry, limitsOf, recorder }: AddRequestsOptions) => {
  interface Placed {
    readonly lane: string;
    readonly job: RequestJob;
    readonly isAllowed: boolean;
  }

  const toJob = (batch: Batch, limits: TenantLimits, { index, request, bytes }: InputRequest): Placed => {
    const { customId, url, body } = request;
    const route = lanes.route(body.model);
    if (!route)
      throw new DispatchBlockedError(
        'no_lane',
        `No provider in the configuration takes the model ${body.model} any more.`,
      );
    const { name } = route.lane;
    const mayUse = (to: Route): boolean => limits.models === undefined || mayUseModel(limits, fullModelName(to));
    const fallback = route.lane.fallback.filter((model) => {
      const next = lanes.route(model);
      return next && mayUse(next);
    });
    const job: RequestJob = {
      batchId: batch.id,
      index,
      customId,
      url,
      body: { ...body, model: route.model },
      bytes,
      ...(fallback.length > 0 ? { fallback: { models: fallback, deadlineNearMs: deadlineNearMs(batch) } } : {}),
    };
    return { lane: name, job, isAllowed: mayUse(route) };
  };

  const refuse = async (job: RequestJob, model: string): Promise<void> => {
    const { status, line } = toResult(job, { kind: 'error', ...modelNotAllowed(model) });
    await recorder.record(job, status, line, noUsage);
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
      const limits = limitsOf(batch.tenant);
      const byLane = new Map<string, RequestJob[]>();
      const refused: Promise<void>[] = [];
      for (const request of requests) {
        const { lane, job, isAllowed } = toJob(batch, limits, request);
        if (!isAllowed) {
          refused.push(refuse(job, request.request.body.model));
          continue;
        }
        const jobs = byLane.get(lane);
        if (jobs) jobs.push(job);
        else byLane.set(lane, [job]);
      }
      const ends = await Promise.all(
        [...byLane].map(async ([lane, jobs]) => [lane, await addToLane(lane, jobs, before[lane] ?? 0)] as const),
      );
      await Promise.all(refused);
      return { ...before, ...Object.fromEntries(ends) };
    };
  };
};

export type AddRequests = ReturnType<typeof createAddRequests>;
