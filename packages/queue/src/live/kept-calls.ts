import type { LiveAnswer } from '@promptmill/core';
import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { RequestState } from '../results/result-recorder.ts';
import { keptAnswersName, type StoredText } from './kept-answers.ts';
import { answerFromParts, answerParts } from './live-answers.ts';

/** A call whose answer is kept, when it begins. */
export interface NewKeptCall {
  readonly id: string;
  readonly tenant: string;
  /** The lane it waits in. */
  readonly lane: string;
  /** How many fallbacks it has. */
  readonly fallbacksLeft: number;
  /** The api process that waits for the answer. Undefined: nobody waits, and the answer is fetched later. */
  readonly api?: string | undefined;
  /** The `Idempotency-Key` that is free again when the call is deleted. */
  readonly claim?: KeptClaim | undefined;
  /** What its caller is shown until there is an answer, as JSON. Only of a background response. */
  readonly response?: string | undefined;
  /** How long it is kept: from now until it has its answer, and from then on. */
  readonly keepMs: number;
  /** How many of the tenant's kept calls may be under way. */
  readonly mostUnderWay: number;
}

export interface KeptClaim {
  readonly key: string;
  readonly contentHash: string;
}

export interface KeptCallState {
  /**
   * `joined`: it is under way. `moved`: so it is, in a fallback's lane. `ended`: it has its answer, or is cancelled.
   * `passed`: it has failed, and would perhaps not fail again. `full`: it has not begun, since too many are under way.
   */
  readonly kind: 'new' | 'joined' | 'moved' | 'ended' | 'passed' | 'full';
  readonly underWay: number;
}

/** A call whose answer is kept, as Redis has it. */
export interface KeptCall {
  readonly tenant: string;
  readonly lane: string;
  readonly status: 'queued' | 'in_progress' | 'answered' | 'cancelled';
  /** In Unix seconds. */
  readonly createdAt: number;
  readonly claim?: KeptClaim;
  readonly response?: string;
  readonly answer?: KeptAnswer;
}

export interface KeptAnswer {
  /** Its body is empty when it is in the file store, and that of a stream is its events. */
  readonly answer: LiveAnswer;
  readonly isStream: boolean;
  /** Where its body is in the file store. */
  readonly place?: StoredText;
}

export interface NewKeptAnswer {
  readonly answer: LiveAnswer;
  /** Whether its body is the events of a stream. */
  readonly isStream: boolean;
  /** Whether it is a failure that a new call may not meet. Its key may then be used for another call. */
  readonly mayPass: boolean;
}

const beginKeptCall = defineScript<
  [record: string, underWay: string],
  [id: string, keepMs: number, most: number, api: string, left: number, ...fields: string[]],
  [KeptCallState['kind'], number]
>(new URL('./begin-kept-call.lua', import.meta.url));
const checkKeptCall = defineScript<[record: string], [left: number], RequestState>(
  new URL('./check-kept-call.lua', import.meta.url),
);
const recordKeptAnswer = defineScript<
  [record: string, underWay: string, results: string],
  [id: string, name: string, meta: string, text: string, isStream: 'isStream' | '', mayPass: 'mayPass' | ''],
  string | null
>(new URL('./record-kept-answer.lua', import.meta.url));
const cancelKeptCall = defineScript<[record: string, underWay: string], [id: string], 0 | 1>(
  new URL('./cancel-kept-call.lua', import.meta.url),
);

const placeOf = (text: string): StoredText => {
  const [key = '', start, end] = text.split(' ');
  return { key, start: Number(start), end: Number(end) };
};

/** Calls whose answers are kept. Their records outlive every process. */
export const createKeptCalls = (redis: RedisConnection, keys: Keys) => {
  const underWay = (tenant: string): string => keys.keptUnderWay(tenant);
  return {
    /** Makes the call's record. When there is one already, its api gets the answer too. */
    async begin(call: NewKeptCall): Promise<KeptCallState> {
      const { id, tenant, lane, fallbacksLeft, api = '', claim, response, keepMs, mostUnderWay } = call;
      const fields = ['tenant', tenant, 'lane', lane];
      // The key is only needed where the call can be deleted.
      if (response !== undefined) fields.push('response', response, 'claim', claim ? JSON.stringify(claim) : '');
      const [kind, count] = await beginKeptCall(
        redis,
        [keys.keptCall(id), underWay(tenant)],
        [id, keepMs, mostUnderWay, api, fallbacksLeft, ...fields],
      );
      return { kind, underWay: count };
    },

    async get(id: string): Promise<KeptCall | undefined> {
      const {
        tenant,
        lane = '',
        status,
        createdAt,
        claim,
        response,
        meta,
        text,
        place,
        isStream,
      } = await redis.hgetall(keys.keptCall(id));
      if (tenant === undefined) return undefined;
      return {
        tenant,
        lane,
        status: status as KeptCall['status'],
        createdAt: Number(createdAt),
        ...(claim ? { claim: JSON.parse(claim) } : {}),
        ...(response === undefined ? {} : { response }),
        ...(meta === undefined
          ? {}
          : {
              answer: {
                answer: answerFromParts(meta, text ?? ''),
                isStream: isStream !== undefined,
                ...(place === undefined ? {} : { place: placeOf(place) }),
              },
            }),
      };
    },

    /** Which of a tenant's calls are not under way any more. */
    async notUnderWay(tenant: string, ids: readonly string[]): Promise<string[]> {
      const deadlines = await redis.zmscore(underWay(tenant), ...ids);
      return ids.filter((_, i) => deadlines[i] === null);
    },

    /** Whether to call the provider. @param fallbacksLeft of the worker's job */
    check: (id: string, fallbacksLeft: number): Promise<RequestState> =>
      checkKeptCall(redis, [keys.keptCall(id)], [fallbacksLeft]),

    /**
     * Records the first answer, and resolves with the api processes that wait for it. Undefined: the call had its answer,
     * or nobody wants one.
     */
    async record(id: string, tenant: string, { answer, isStream, mayPass }: NewKeptAnswer) {
      const [meta, text] = answerParts(answer);
      const apis = await recordKeptAnswer(
        redis,
        [keys.keptCall(id), underWay(tenant), keys.results],
        [id, keptAnswersName, meta, text, isStream ? 'isStream' : '', mayPass ? 'mayPass' : ''],
      );
      return apis?.split(' ').filter((api) => api !== '');
    },

    /** Cancels a call that is under way, and tells the worker that has it. Returns whether this cancelled it. */
    async cancel(id: string, tenant: string): Promise<boolean> {
      const isCancelled = (await cancelKeptCall(redis, [keys.keptCall(id), underWay(tenant)], [id])) === 1;
      if (isCancelled) await redis.spublish(keys.hangUps, id);
      return isCancelled;
    },

    /** Deletes a call that has ended. Its answer can be found no more. */
    async remove(id: string): Promise<void> {
      await redis.del(keys.keptCall(id));
    },
  };
};

export type KeptCalls = ReturnType<typeof createKeptCalls>;
