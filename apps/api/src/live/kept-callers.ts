import { text } from 'node:stream/consumers';
import { jobIdOf, type LiveAnswer, type RequestJob, type Tenants } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import type {
  Claims,
  KeptAnswer,
  KeptCall,
  KeptCalls,
  KeptCallState,
  LiveNews,
  RedisConnection,
} from '@promptmill/queue';
import type { Queue } from 'bullmq';
import { claimKey, type KeyedRequest } from '../idempotency.ts';
import { withinQueueTimeout } from '../redis-guard.ts';
import { overLimit } from '../tenants/over-limit.ts';
import { type KeptListener, tellAnswer, tellEvents } from './kept-listener.ts';
import type { LiveCalls } from './live-calls.ts';

export interface KeptCallersOptions {
  /** The connection of `calls` and `claims`. */
  readonly redis: RedisConnection;
  readonly live: LiveCalls;
  readonly calls: KeptCalls;
  /** The ids of the calls that were made under idempotency keys. */
  readonly claims: Claims<string>;
  readonly files: Pick<FileStore, 'get'>;
  readonly queueOf: (lane: string) => Queue<RequestJob>;
  readonly limitsOf: Tenants['limitsOf'];
  /** How long an answer is kept, in milliseconds. */
  readonly keepMs: number;
  readonly onError: (error: unknown) => void;
}

/** A call to keep. Under a key that was used before, it is the one that was made then. */
export interface KeptOrder {
  readonly lane: string;
  readonly job: RequestJob;
  readonly claim?: KeyedRequest | undefined;
  /** What its caller is shown until there is an answer, as JSON. Only of a background response. */
  readonly response?: string;
}

interface Group {
  readonly tenant: string;
  readonly order: KeptOrder;
  readonly listeners: Set<KeptListener>;
}

/** A worker may die between the record of an answer and its news, so waiting callers' answers are looked for this often. */
const lookEveryMs = 2000;

/** The calls that outlive their callers, and the callers of this process who wait for them. */
export const createKeptCallers = (options: KeptCallersOptions) => {
  const { redis, live, calls, claims, files, queueOf, limitsOf, keepMs, onError } = options;
  const groups = new Map<string, Group>();

  const beginRecord = ({ lane, job, claim, response }: KeptOrder): Promise<KeptCallState> => {
    const { tenant } = job;
    return calls.begin({
      id: job.batchId,
      tenant,
      lane,
      fallbacksLeft: job.fallback?.models.length ?? 0,
      api: job.live?.api,
      claim,
      response,
      keepMs,
      mostUnderWay: limitsOf(tenant).liveCallsAtOnce,
    });
  };

  /** Finds the call that was made under the key, or makes one. What broke off before is carried on. */
  const open = async (order: KeptOrder): Promise<{ job: RequestJob; kind: KeptCallState['kind'] }> => {
    const { job, claim } = order;
    for (;;) {
      const id = claim ? (await claimKey(claims, claim, job.batchId)).made : job.batchId;
      const made: RequestJob = { ...job, batchId: id, customId: id };
      const { kind, underWay } = await beginRecord({ ...order, job: made });
      if (kind === 'full')
        throw overLimit('liveCallsAtOnce', { limit: limitsOf(job.tenant).liveCallsAtOnce, used: underWay });
      if (kind !== 'passed' || !claim) return { job: made, kind };
      // A failure that may have passed is no answer to this call.
      await claims.release(claim, id);
    }
  };

  /** The whole answer, from Redis or the file store. */
  const read = async ({ answer, place }: KeptAnswer): Promise<LiveAnswer> => {
    if (answer.kind === 'error' || !place) return answer;
    return { ...answer, body: await text(await files.get(place.key, place)) };
  };

  /** Gives the answer to callers who wait for it, if there is one. Returns false when the call is not known. */
  const answerFor = async (callId: string, listeners: Iterable<KeptListener>): Promise<boolean> => {
    const call = await calls.get(callId);
    const kept = call?.answer;
    if (!kept) return call !== undefined;
    const answer = await read(kept);
    const group = groups.get(callId);
    for (const listener of listeners)
      if (!group || group.listeners.has(listener)) tellAnswer(listener, callId, answer, kept.isStream);
    return true;
  };

  /** Makes a call again that Redis has lost. */
  const restore = async (order: KeptOrder): Promise<void> => {
    const { lane, job } = order;
    if ((await beginRecord(order)).kind !== 'new') return;
    await queueOf(lane).remove(jobIdOf(job.batchId, 0));
    await live.add({ lane, job });
  };

  const onNews = (news: LiveNews): void => {
    const { callId, kind } = news;
    const listeners = [...(groups.get(callId)?.listeners ?? [])];
    if (kind === 'events') {
      for (const listener of listeners) tellEvents(listener, news);
      return;
    }
    const isStreamsEnd = kind === 'end' && news.answer.kind === 'response' && news.answer.body === '';
    const late = isStreamsEnd ? listeners.filter(({ got }) => got === undefined) : [];
    for (const listener of listeners) if (!late.includes(listener)) listener.onNews(news);
    if (late.length > 0) answerFor(callId, late).catch(onError);
  };

  const leave = (callId: string, listener: KeptListener): void => {
    const group = groups.get(callId);
    if (!group?.listeners.delete(listener) || group.listeners.size > 0) return;
    groups.delete(callId);
    live.end(callId);
  };

  const join = async (order: KeptOrder, kind: KeptCallState['kind'], listener: KeptListener): Promise<void> => {
    const { lane, job } = order;
    const { batchId: callId } = job;
    const known = groups.get(callId);
    if (known) return void known.listeners.add(listener);
    groups.set(callId, { tenant: job.tenant, order, listeners: new Set([listener]) });
    // In a fallback's lane its job is another one.
    if (kind === 'moved') return;
    const mayRestore = async (): Promise<boolean> => {
      const { kind: now } = await beginRecord(order);
      return now === 'new' || now === 'joined';
    };
    try {
      await live.begin({ lane, job, onNews, mayRestore });
    } catch (error) {
      leave(callId, listener);
      throw error;
    }
  };

  const look = async (): Promise<void> => {
    const byTenant = Map.groupBy(groups, ([, { tenant }]) => tenant);
    for (const [tenant, waiting] of byTenant) {
      const ended = await calls.notUnderWay(
        tenant,
        waiting.map(([callId]) => callId),
      );
      for (const callId of ended) {
        const group = groups.get(callId);
        if (group && !(await answerFor(callId, [...group.listeners]))) await restore(group.order);
      }
    }
  };
  let looking: Promise<void> | undefined;
  const timer = setInterval(() => {
    looking ??= look()
      .catch(onError)
      .finally(() => {
        looking = undefined;
      });
  }, lookEveryMs);

  return {
    keepMs,
    calls,
    read,

    /** The caller of a kept call, in place of one of a call that ends with its caller. */
    callerOf(claim: KeyedRequest): Pick<LiveCalls, 'begin' | 'end' | 'giveUp'> {
      let leaveCall: (() => void) | undefined;
      let hasLeft = false;
      const end = (): void => {
        hasLeft = true;
        leaveCall?.();
      };
      return {
        async begin({ lane, job, onNews: onNewsOfCall }) {
          const opened = await withinQueueTimeout(redis, open({ lane, job, claim }));
          const { batchId: callId } = opened.job;
          const listener: KeptListener = { onNews: onNewsOfCall };
          if (opened.kind === 'ended') await answerFor(callId, [listener]);
          else {
            await join({ lane, job: opened.job, claim }, opened.kind, listener);
            leaveCall = () => leave(callId, listener);
            if (hasLeft) leaveCall();
          }
          return callId;
        },
        end,
        giveUp: end,
      };
    },

    /** Begins a call that nobody waits for. Resolves with its id, and how it stood before a worker could take it. */
    async start(order: KeptOrder): Promise<{ readonly id: string; readonly call: KeptCall | undefined }> {
      const { job, kind } = await withinQueueTimeout(redis, open(order));
      const call = await calls.get(job.batchId);
      if (kind === 'new' || kind === 'joined') await live.add({ lane: order.lane, job });
      return { id: job.batchId, call };
    },

    /** Cancels a call that is under way: it leaves its lane, or the worker that has it gives it up. */
    async cancel(id: string, { tenant, lane }: { readonly tenant: string; readonly lane: string }): Promise<void> {
      if (await calls.cancel(id, tenant)) await queueOf(lane).remove(jobIdOf(id, 0));
    },

    /** Deletes a call and what is kept of it. Its key may be used for another. */
    async remove(id: string, claim: KeyedRequest | undefined): Promise<void> {
      if (claim) await claims.release(claim, id);
      await calls.remove(id);
    },

    async close(): Promise<void> {
      clearInterval(timer);
      await looking;
    },
  };
};

export type KeptCallers = ReturnType<typeof createKeptCallers>;
