import { jobIdOf, type RequestJob, type RetryPolicy, type Tenants } from '@promptmill/core';
import {
  createLiveReceiver,
  type Keys,
  type LaneTurns,
  type LiveCount,
  type LiveNews,
  groupWhileSending,
  onBack,
  type RedisConnection,
  toLaneJob,
} from '@promptmill/queue';
import type { Queue } from 'bullmq';
import { withinQueueTimeout } from '../redis-guard.ts';

export interface LiveCallsOptions {
  /** This api process. */
  readonly api: string;
  readonly redis: RedisConnection;
  /** A connection for nothing else. Its commands wait while Redis is away. */
  readonly blocking: RedisConnection;
  readonly keys: Keys;
  readonly queueOf: (lane: string) => Queue<RequestJob>;
  readonly turns: Pick<LaneTurns, 'takeLive'>;
  readonly tenants: Pick<Tenants, 'weightOf'>;
  /** What live calls may take of a lane. */
  readonly shareOf: (lane: string) => number;
  /** The lane of a model; undefined when there is none. */
  readonly laneOf: (model: string) => string | undefined;
  readonly retry: RetryPolicy;
  readonly onError: (error: Error) => void;
  /** A call whose job is missing is looked for this often, and whenever Redis is back. Default 30,000. */
  readonly lookForLostEveryMs?: number;
}

/** A live call to add to its lane. */
export interface NewLiveCall {
  readonly lane: string;
  readonly job: RequestJob;
  /** Gets what workers tell of the call. */
  readonly onNews: (news: LiveNews) => void;
  /** Whether a call whose job is missing may be added to its lane again. Default: it may. */
  readonly mayRestore?: () => Promise<boolean>;
}

interface WaitingCall extends NewLiveCall {
  /** Whether its job is, or was, in its lane. */
  isAdded: boolean;
  isGivenUp: boolean;
}

/** The live calls whose callers this process holds. */
export const createLiveCalls = (options: LiveCallsOptions) => {
  const { api, redis, blocking, keys, queueOf, turns, tenants, shareOf, laneOf, retry, onError } = options;
  const { lookForLostEveryMs = 30_000 } = options;
  const waiting = new Map<string, WaitingCall>();

  const receiver = createLiveReceiver({
    redis,
    blocking,
    keys,
    api,
    onNews: (news) => waiting.get(news.callId)?.onNews(news),
    onError,
  });

  /** Calls that come while others are being added are added together. */
  const addToLane = groupWhileSending<RequestJob, void>(async (laneAndTenant, jobs) => {
    const [lane = '', tenant = ''] = laneAndTenant.split('\n');
    const user = { tenant, weight: tenants.weightOf(tenant), share: shareOf(lane) };
    const positions = await turns.takeLive(lane, user, jobs.length);
    await queueOf(lane).addBulk(jobs.map((job, i) => toLaneJob(job, positions[i] ?? 0, retry)));
    return [];
  });
  const add = ({ lane, job }: Pick<NewLiveCall, 'lane' | 'job'>) =>
    withinQueueTimeout(redis, addToLane(`${lane}\n${job.tenant}`, job));

  /** The lanes in which a call may have its job: its own, then those of its fallbacks, in the order in which it goes. */
  const lanesOf = ({ lane, job }: Pick<NewLiveCall, 'lane' | 'job'>): string[] => [
    lane,
    ...(job.fallback?.models ?? []).map(laneOf).filter((name) => name !== undefined),
  ];
  /** Whether a worker has, or will have, the call. */
  const hasJob = async (call: NewLiveCall): Promise<boolean> => {
    const jobId = jobIdOf(call.job.batchId, 0);
    const states = await Promise.all(
      lanesOf(call).map((lane) => redis.hmget(keys.laneJob(lane, jobId), 'data', 'finishedOn')),
    );
    return states.some(([data, finishedOn]) => data !== null && finishedOn === null);
  };

  /**
   * Adds calls again whose jobs Redis has lost. Where a job has ended, its answer came before: so a call is only added
   * again when there is no answer after its job was seen to be missing.
   */
  const restoreLost = async (): Promise<void> => {
    const added = [...waiting.values()].filter(({ isAdded }) => isAdded);
    const found = await Promise.all(added.map(hasJob));
    const lost = added.filter((_, i) => !found[i]);
    if (lost.length === 0) return;
    await receiver.readAll();
    for (const call of lost)
      if (waiting.has(call.job.batchId) && (await (call.mayRestore?.() ?? true))) {
        await queueOf(call.lane).remove(jobIdOf(call.job.batchId, 0));
        await add(call);
      }
  };
  /** Calls that nobody waits for, which could not be given up while Redis was away. */
  const abandoned = new Map<string, NewLiveCall>();
  const abandon = async (call: NewLiveCall): Promise<void> => {
    const { batchId: callId } = call.job;
    abandoned.set(callId, call);
    const removed = await Promise.all(lanesOf(call).map((lane) => queueOf(lane).remove(jobIdOf(callId, 0))));
    // A job that a worker has cannot be removed. One that is not there counts as removed.
    if (removed.includes(0)) await receiver.hangUp(callId);
    abandoned.delete(callId);
  };
  const look = (): void => {
    restoreLost().catch(onError);
    for (const call of abandoned.values()) abandon(call).catch(onError);
  };
  const timer = setInterval(look, lookForLostEveryMs);
  const stopListening = onBack(redis, look);

  return {
    /** This api process, for the jobs of its calls. */
    api,

    /** Adds a call to its lane, if it is not there. Throws a 503 when Redis is away. */
    async add(call: Pick<NewLiveCall, 'lane' | 'job'>): Promise<void> {
      await add(call);
    },

    /** Adds a call to its lane. From then on its news come. Resolves with its id. Throws a 503 when Redis is away. */
    async begin(call: NewLiveCall): Promise<string> {
      const begun: WaitingCall = { ...call, isAdded: false, isGivenUp: false };
      waiting.set(call.job.batchId, begun);
      try {
        await add(call);
        begun.isAdded = true;
        // It may have been given up before it was there.
        if (begun.isGivenUp) abandon(call).catch(() => {});
        return call.job.batchId;
      } catch (error) {
        waiting.delete(call.job.batchId);
        // It may be in its lane all the same. One that is kept goes on there.
        if (!call.job.live?.isKept) abandon(call).catch(() => {});
        throw error;
      }
    },

    lanesOf,

    /** The call has its answer. */
    end: (callId: string): void => void waiting.delete(callId),

    /** Nobody waits for a call any more: it leaves its lane, or the worker that has it gives it up. */
    giveUp(callId: string): void {
      const call = waiting.get(callId);
      waiting.delete(callId);
      if (!call) return;
      call.isGivenUp = true;
      // When Redis is away, it is given up when Redis is back.
      abandon(call).catch(() => {});
    },

    /** How many of the lane's jobs go before a call. Undefined when a worker has it, or when it is not known. */
    async positionOf(callId: string): Promise<number | undefined> {
      const call = waiting.get(callId);
      if (!call) return undefined;
      const jobId = jobIdOf(callId, 0);
      const ranks = await Promise.all(
        lanesOf(call).map((lane) => redis.zrank(keys.laneJobs(lane, 'prioritized'), jobId)),
      );
      return ranks.find((rank) => rank !== null) ?? undefined;
    },

    count: (): number => waiting.size,

    /** How many calls there are of each tenant, by lane. */
    counts(): LiveCount[] {
      const counts = new Map<string, LiveCount>();
      for (const { lane, job } of waiting.values()) {
        const { tenant } = job;
        const name = `${lane}\n${tenant}`;
        counts.set(name, { lane, tenant, calls: (counts.get(name)?.calls ?? 0) + 1 });
      }
      return [...counts.values()];
    },

    async close(): Promise<void> {
      clearInterval(timer);
      stopListening();
      await receiver.close();
    },
  };
};

export type LiveCalls = ReturnType<typeof createLiveCalls>;
