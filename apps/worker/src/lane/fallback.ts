import { type Lane, lacksKey, type LaneTable, type RequestJob, type RetryPolicy } from '@promptmill/core';
import { type LaneTurns, toLaneJob } from '@promptmill/queue';
import type { Queue } from 'bullmq';

/** Another model, in another lane, to which a request may go. */
export interface Fallback {
  /** Whether to go there rather than wait: the lane is closed, or the batch's deadline is near. */
  isBetter(laneIsClosed: boolean): boolean;
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

/** The model of a request in a lane, as requests name it. */
export const modelName = (lane: Lane, { body }: RequestJob): string => `${lane.provider.name}/${body.model}`;

/** Finds the first of a request's fallbacks that can be called; undefined when it has none. */
export const createFindFallback = ({ lanes, queueOf, turns, weightOf, retry, now }: FindFallbackOptions) => {
  return (request: RequestJob, from: Lane): Fallback | undefined => {
    const { fallback: chain, ...rest } = request;
    for (const [i, model] of chain?.models.entries() ?? []) {
      const route = lanes.route(model);
      if (!chain || !route || lacksKey(route.lane.provider)) continue;
      const next = chain.models.slice(i + 1);
      const job: RequestJob = {
        ...rest,
        body: { ...rest.body, model: route.model },
        fallbackFrom: rest.fallbackFrom ?? modelName(from, request),
        ...(next.length > 0 ? { fallback: { ...chain, models: next } } : {}),
      };
      return {
        isBetter: (laneIsClosed) => laneIsClosed || now() >= chain.deadlineNearMs,
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
