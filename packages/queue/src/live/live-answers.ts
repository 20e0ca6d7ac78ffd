import { setTimeout as sleep } from 'node:timers/promises';
import type { LiveAnswer, LiveAnswerHead, RequestJob } from '@promptmill/core';
import type { Keys } from '../keys.ts';
import { groupWhileSending } from '../results/group-calls.ts';
import { onBack, type RedisConnection } from '../connection/redis.ts';

/** What a worker tells the api process that holds a live call's caller. */
export type LiveNews =
  /** The call has ended, with a provider's answer or an error. After events it is the end of their stream. */
  | { readonly kind: 'end'; readonly callId: string; readonly answer: LiveAnswer }
  /** An attempt has failed like this, and another follows. */
  | { readonly kind: 'failed attempt'; readonly callId: string; readonly answer: LiveAnswer }
  /** Server-sent events of the provider, as it wrote them. */
  | {
      readonly kind: 'events';
      readonly callId: string;
      /** The attempt they are of. */
      readonly attempt: string;
      /** The number of the first of them in its attempt. */
      readonly from: number;
      readonly count: number;
      readonly head: LiveAnswerHead;
      readonly text: string;
    };

type Named = Pick<RequestJob, 'batchId' | 'live'>;

const apiOf = ({ live }: Named): string => live?.api ?? '';

/** The two parts in which an answer is sent and kept: all but its body, as JSON, and its body. */
export const answerParts = (answer: LiveAnswer): readonly [meta: string, text: string] =>
  answer.kind === 'response'
    ? [JSON.stringify({ head: answer.head }), answer.body]
    : [JSON.stringify({ error: { code: answer.code, message: answer.message } }), ''];

export const answerFromParts = (meta: string, text: string): LiveAnswer => {
  const { head, error } = JSON.parse(meta);
  return head ? { kind: 'response', head, body: text } : { kind: 'error', ...error };
};

/** News take two fields of an entry: the kind and the call, then what else there is as JSON and the text. */
const fieldsPerNews = 4;

const fieldsOf = (news: LiveNews): readonly string[] => {
  const { kind, callId } = news;
  if (kind === 'events') {
    const { text, attempt, from, count, head } = news;
    return [kind, callId, JSON.stringify({ attempt, from, count, head }), text];
  }
  return [kind, callId, ...answerParts(news.answer)];
};

const newsIn = (fields: readonly string[]): LiveNews[] =>
  Array.from({ length: fields.length / fieldsPerNews }, (_, i) =>
    newsOf(fields.slice(i * fieldsPerNews, (i + 1) * fieldsPerNews)),
  );

const newsOf = ([kind = '', callId = '', meta = '{}', text = '']: readonly string[]): LiveNews => {
  if (kind === 'events') return { kind, callId, ...JSON.parse(meta), text };
  return { kind: kind === 'end' ? 'end' : 'failed attempt', callId, answer: answerFromParts(meta, text) };
};

/** Answers for an api process that has died are forgotten after this time. */
const answersLastMs = 3_600_000;

/** An api process says that it lives this often, and whenever Redis is back. */
const sayAliveEveryMs = 3000;
const aliveLastsMs = 10_000;
/** After Redis is back, all processes are connected within this time. */
const sayAgainMs = 1000;

/** The worker's side of live calls. */
export const createLiveSender = (redis: RedisConnection, keys: Keys, now: () => number = () => performance.now()) => {
  /** Until when no api's stream of answers needs a new time to live. */
  const lasting = new Map<string, number>();

  /** Until when an api that was found dead is taken for dead. */
  const deadUntil = new Map<string, number>();

  const keep = async (api: string): Promise<void> => {
    if (now() < (lasting.get(api) ?? -Infinity)) return;
    await redis.pexpire(keys.liveAnswers(api), answersLastMs);
    if (!lasting.has(api))
      for (const known of [lasting, deadUntil])
        for (const [other, untilMs] of known) if (untilMs < now()) known.delete(other);
    lasting.set(api, now() + answersLastMs / 2);
  };

  /** An entry of the stream has all news that are on their way to one api at the same time. */
  const add = groupWhileSending<LiveNews, void>(async (api, news) => {
    await redis.xadd(keys.liveAnswers(api), '*', ...news.flatMap(fieldsOf));
    await keep(api);
    return [];
  });

  return {
    /** Whether somebody still waits for the answer. */
    async isWanted(request: Named): Promise<boolean> {
      const api = apiOf(request);
      const look = async () => {
        const [alive, hungUp] = await redis.mget(keys.liveApi(api), keys.hungUp(api, request.batchId));
        return { isAlive: alive !== null, hungUp: hungUp !== null };
      };
      const seen = await look();
      if (seen.hungUp) return false;
      if (seen.isAlive) return true;
      // After an outage of Redis a worker may be back before the api is, which then says at once that it lives.
      if (now() < (deadUntil.get(api) ?? 0)) return false;
      await sleep(sayAgainMs);
      const again = await look();
      if (again.isAlive) return !again.hungUp;
      deadUntil.set(api, now() + aliveLastsMs);
      return false;
    },

    /** Does nothing where no process waits for the answer. */
    async send(request: Named, news: LiveNews): Promise<void> {
      const api = apiOf(request);
      if (api !== '') await add(api, news);
    },
  };
};

export type LiveSender = ReturnType<typeof createLiveSender>;

const longestBlockMs = 4000;
const readAtOnce = 500;
const gatherMs = 1;
const pauseAfterErrorMs = 250;
/** How long a call that was given up is remembered: a worker may wait so long with it. */
const hungUpLastsSeconds = 3600;

export interface LiveReceiverOptions {
  readonly redis: RedisConnection;
  /** A connection used for nothing else, since it waits in XREAD. Its commands wait while Redis is away. */
  readonly blocking: RedisConnection;
  readonly keys: Keys;
  /** This api process. */
  readonly api: string;
  readonly onNews: (news: LiveNews) => void;
  readonly onError: (error: Error) => void;
}

/** The api's side of live calls: it reads what workers tell it, in order. */
export const createLiveReceiver = (options: LiveReceiverOptions) => {
  const { redis, blocking, keys, api, onNews, onError } = options;
  const stream = keys.liveAnswers(api);
  const stop = new AbortController();
  let lastId = '0-0';
  /** Called when the api has read its own mark in the stream. */
  const marks = new Map<string, () => void>();
  let marksMade = 0;

  const sayAlive = (): void => {
    redis.set(keys.liveApi(api), 1, 'PX', aliveLastsMs).catch(() => {
      // The next turn says it again.
    });
  };

  const take = (entries: readonly [id: string, fields: string[]][]): void => {
    for (const [id, fields] of entries) {
      lastId = id;
      if (fields[0] === 'mark') marks.get(fields[1] ?? '')?.();
      else for (const news of newsIn(fields)) onNews(news);
    }
  };

  const read = async (): Promise<void> => {
    const reply = await blocking.xread('COUNT', readAtOnce, 'BLOCK', longestBlockMs, 'STREAMS', stream, lastId);
    const [, entries = []] = reply?.[0] ?? [];
    take(entries);
    // The last one stays. What is not deleted now is deleted with the next.
    if (entries.length > 0) blocking.xtrim(stream, 'MINID', lastId).catch(() => {});
    // A mark that Redis has lost does not come any more.
    if (entries.length === 0) for (const resolve of marks.values()) resolve();
    // Where much comes, it is read together.
    if (entries.length > 1) await sleep(gatherMs);
  };

  const run = async (): Promise<void> => {
    while (!stop.signal.aborted)
      try {
        await read();
      } catch (error) {
        if (stop.signal.aborted) return;
        onError(error as Error);
        await sleep(pauseAfterErrorMs);
      }
  };

  sayAlive();
  const timer = setInterval(sayAlive, sayAliveEveryMs);
  const stopListening = onBack(redis, sayAlive);
  const running = run();
  return {
    /** Resolves when all that is in the stream now has been read. */
    async readAll(): Promise<void> {
      const mark = String(marksMade++);
      const { promise, resolve } = Promise.withResolvers<void>();
      marks.set(mark, resolve);
      try {
        await redis.xadd(stream, '*', 'mark', mark, '', '');
        await redis.pexpire(stream, answersLastMs);
        await promise;
      } finally {
        marks.delete(mark);
      }
    },
    /** Tells the worker that has a call that nobody waits for it any more. */
    async hangUp(callId: string): Promise<void> {
      await Promise.all([
        redis.set(keys.hungUp(api, callId), 1, 'EX', hungUpLastsSeconds),
        redis.spublish(keys.hangUps, callId),
      ]);
    },
    async close(): Promise<void> {
      stop.abort();
      clearInterval(timer);
      stopListening();
      blocking.disconnect();
      await running;
      await redis.del(keys.liveApi(api), stream).catch(() => {});
    },
  };
};

export type LiveReceiver = ReturnType<typeof createLiveReceiver>;
