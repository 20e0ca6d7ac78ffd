import {
  fallbackJob,
  type Lane,
  type LaneTable,
  missingKeyOf,
  type RequestJob,
  type RetryPolicy,
} from '@promptmill/core';
import { type LaneTurns, toLaneJob } from '@promptmill/queue';
import type { Queue } from 'bullmq';

/** Another model, in another lane, to which a request may go. */
export interface Fallback {
  /**
   * Whether to go there rather than wait: the lane is closed, or the batch's deadline is near.
   *
   * @param closedForMs how long the lane has been closed, in milliseconds; 0 while it is not
   */
  isBetter(closedForMs: number): boolean;
  /** Adds the request to that lane. It has a job in both until the one here ends; the first result wins. */
  add(): Promise<void>;
}

export interface FindFallbackOptions {
  readonly lanes: LaneTable;
  readonly queueOf: (lane: string) => Queue<RequestJob>;
  readonly turns: Pick<LaneTurns, 'takeOne'>;
  readonly weightOf: (tenant: string) => number;
  readonly retry: RetryPolicy;
  readonly now: () => number;
}

/** Finds the first of a request's fallbacks that can be called; undefined when it has none. */
export const createFindFallback = ({ lanes, queueOf, turns, weightOf, retry, now }: FindFallbackOptions) => {
  return (request: RequestJob, from: Lane): Fallback | undefined => {
    const { fallback: chain } = request;
    for (const [i, model] of chain?.models.entries() ?? []) {
      const route = lanes.route(model);
      if (!chain || !route || missingKeyOf(route.lane) !== undefined) continue;
      const job = fallbackJob(request, from, i, route);
      return {
        isBetter: (closedForMs) => closedForMs > (chain.patienceMs ?? 0) || now() >= chain.deadlineNearMs,
        async add() {
          const position = await turns.takeOne(route.lane, job, { weight: weightOf(job.tenant), isNew: true });
          await queueOf(route.lane.name).addBulk([toLaneJob(job, position, retry)]);
        },
      };
    }
    return undefined;
  };
};

export type FindFallback = ReturnType<typeof createFindFallback>;
