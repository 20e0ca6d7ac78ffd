import type { Lane, LaneTable, RequestJob, RetryPolicy, Route } from '@promptmill/core';
import { type LaneTurns, requestJobOptions } from '@promptmill/queue';
import type { Queue } from 'bullmq';

/** Another model, in another lane, that a request may go to. */
export interface WayOut {
  /** Whether to go rather than wait: the lane is closed, or the batch's deadline is near. */
  isBetter(laneIsClosed: boolean): boolean;
  /** Puts the request into that lane. It has a job in both until the one here ends; the first result wins. */
  take(): Promise<void>;
}

export interface FindWayOutOptions {
  readonly lanes: LaneTable;
  readonly queueOf: (lane: string) => Queue<RequestJob>;
  readonly turns: Pick<LaneTurns, 'next' | 'noteEnd'>;
  readonly retry: RetryPolicy;
  readonly now: () => number;
}

/** The model of a request in a lane, as requests name it. */
export const modelName = (lane: Lane, { body }: RequestJob): string => `${lane.provider.name}/${body.model}`;

const lacksKey = ({ lane: { provider } }: Route): boolean =>
  provider.apiKeyEnv !== undefined && provider.apiKey === undefined;

/** Finds the first of a request's fallbacks that can be called; undefined when it has none. */
export const createFindWayOut = ({ lanes, queueOf, turns, retry, now }: FindWayOutOptions) => {
  const last = new Map<string, { readonly turn: number; readonly position: number }>();

  /** What comes to a lane so takes its turns as one more batch would, and does not pass those that are there. */
  const nextPosition = async (queue: Queue<RequestJob>): Promise<number> => {
    const turn = await turns.next(queue, 0);
    const before = last.get(queue.name);
    // A turn that went back is that of a lane which was idle and began anew.
    const position = before && turn >= before.turn ? Math.max(turn, before.position + 1) : turn;
    last.set(queue.name, { turn, position });
    return position;
  };

  return (request: RequestJob, from: Lane): WayOut | undefined => {
    const { fallback, ...rest } = request;
    for (const [i, model] of fallback?.models.entries() ?? []) {
      const route = lanes.route(model);
      if (!fallback || !route || lacksKey(route)) continue;
      const left = fallback.models.slice(i + 1);
      const job: RequestJob = {
        ...rest,
        body: { ...rest.body, model: route.model },
        fallbackFrom: rest.fallbackFrom ?? modelName(from, request),
        ...(left.length > 0 ? { fallback: { ...fallback, models: left } } : {}),
      };
      return {
        isBetter: (laneIsClosed) => laneIsClosed || now() >= fallback.deadlineNearMs,
        async take() {
          const queue = queueOf(route.lane.name);
          const position = await nextPosition(queue);
          await queue.add('request', job, requestJobOptions(job, position, retry));
          await turns.noteEnd(queue.name, position + 1);
        },
      };
    }
    return undefined;
  };
};

export type FindWayOut = ReturnType<typeof createFindWayOut>;
