import type { Delta, RequestJob } from '@promptmill/core';
import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';

/** The deltas of one call. */
export interface CallDeltas {
  readonly add: (piece: { readonly index: number; readonly text: string }) => void;
  /** The call is over, its answer complete or not. */
  readonly end: (isComplete: boolean) => void;
}

/** A call's deltas go out together, at most this often. */
const intervalMs = 50;
/** After this time a batch without listeners is tried again. */
const unheardMs = 250;
/** The longest text that waits for a listener; its beginning is dropped. */
const maxWaitingLength = 65_536;

interface Text {
  /** Where `waiting` begins. */
  offset: number;
  waiting: string;
}

const drop = (text: Text, length: number): void => {
  text.offset += length;
  text.waiting = text.waiting.slice(length);
};

const endOf = (text: Text | undefined): number => (text ? text.offset + text.waiting.length : 0);

/**
 * The worker's side. No call waits for it, and while nobody listens it costs almost nothing. Channels are sharded, so
 * that Redis's reply tells whether anybody listens, also in a cluster.
 */
export const createDeltaPublisher = (
  redis: RedisConnection,
  keys: Keys,
  now: () => number = () => performance.now(),
) => {
  /** Batches with calls in flight. */
  const batches = new Map<string, { calls: number; unheardUntilMs: number }>();

  return {
    open({ batchId, customId }: Pick<RequestJob, 'batchId' | 'customId'>): CallDeltas {
      const batch = batches.get(batchId) ?? { calls: 0, unheardUntilMs: 0 };
      batches.set(batchId, batch);
      batch.calls++;
      const texts = new Map<number, Text>();
      let sentAtMs = -Infinity;
      let sending: Promise<void> | undefined;
      let timer: NodeJS.Timeout | undefined;
      let hasEnded = false;

      const publish = async (isComplete: boolean): Promise<void> => {
        if (now() < batch.unheardUntilMs) return;
        const deltas: Delta[] = [...texts]
          .filter(([, { waiting }]) => waiting !== '')
          .map(([index, { offset, waiting }]) => ({ custom_id: customId, index, offset, delta: waiting }));
        if (isComplete)
          deltas.push({ custom_id: customId, index: 0, offset: endOf(texts.get(0)), delta: '', done: true });
        sentAtMs = now();
        // While Redis is away, commands would pile up.
        const listeners =
          redis.status === 'ready'
            ? await redis.spublish(keys.deltas(batchId), JSON.stringify(deltas)).catch(() => 0)
            : 0;
        if (listeners === 0) batch.unheardUntilMs = now() + unheardMs;
        else
          for (const { index, offset, delta } of deltas) {
            const text = texts.get(index);
            // Characters over the limit may have been dropped meanwhile.
            if (text) drop(text, Math.max(0, offset + delta.length - text.offset));
          }
      };

      const schedule = (): void => {
        if (hasEnded || timer || sending || ![...texts.values()].some(({ waiting }) => waiting !== '')) return;
        const atMs = Math.max(sentAtMs + intervalMs, batch.unheardUntilMs);
        timer = setTimeout(
          () => {
            timer = undefined;
            sending = publish(false).finally(() => {
              sending = undefined;
              schedule();
            });
          },
          Math.max(0, atMs - now()),
        );
      };

      return {
        add({ index, text: piece }) {
          const text = texts.get(index) ?? { offset: 0, waiting: '' };
          texts.set(index, text);
          text.waiting += piece;
          if (text.waiting.length > maxWaitingLength) drop(text, text.waiting.length - maxWaitingLength);
          schedule();
        },
        end(isComplete) {
          hasEnded = true;
          clearTimeout(timer);
          if (--batch.calls === 0) batches.delete(batchId);
          if (isComplete) void Promise.resolve(sending).then(() => publish(true));
        },
      };
    },
  };
};

export type DeltaPublisher = ReturnType<typeof createDeltaPublisher>;

/** A connection that only listens would not notice that it is broken; a ping shows it. */
const heartbeatMs = 3000;

/**
 * The api's side: one connection for all listeners, opened for the first.
 *
 * @param connect gives a connection of its own, whose commands wait while Redis is away
 */
export const createDeltaSubscriber = (connect: () => RedisConnection, keys: Keys) => {
  const listeners = new Map<string, Set<(delta: Delta) => void>>();
  let connection: RedisConnection | undefined;
  let heartbeat: NodeJS.Timeout | undefined;

  const open = (): RedisConnection => {
    const redis = connect();
    redis.on('smessage', (channel: string, message: string) => {
      const deltas = JSON.parse(message) as Delta[];
      for (const listener of listeners.get(channel) ?? []) for (const delta of deltas) listener(delta);
    });
    heartbeat = setInterval(() => {
      if (redis.status === 'ready') redis.ping().catch(ignore);
    }, heartbeatMs);
    return redis;
  };
  // A missed delta does no harm, and ioredis subscribes again whenever it reconnects.
  const ignore = (): void => {};

  return {
    /** Returns a function that ends the subscription. */
    subscribe(batchId: string, listener: (delta: Delta) => void): () => void {
      connection ??= open();
      const redis = connection;
      const channel = keys.deltas(batchId);
      const known = listeners.get(channel) ?? new Set();
      if (known.size === 0) redis.ssubscribe(channel).catch(ignore);
      listeners.set(channel, known.add(listener));
      return () => {
        known.delete(listener);
        if (known.size > 0 || listeners.get(channel) !== known) return;
        listeners.delete(channel);
        redis.sunsubscribe(channel).catch(ignore);
      };
    },
    close(): void {
      listeners.clear();
      clearInterval(heartbeat);
      connection?.disconnect();
    },
  };
};

export type DeltaSubscriber = ReturnType<typeof createDeltaSubscriber>;
