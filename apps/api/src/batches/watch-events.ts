import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, type Batch, type Delta, isTerminal, toBatchObject } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { keepPlaceEveryMs } from '@promptmill/queue';
import { isRedisAway } from '../redis-guard.ts';
import { overLimit } from '../tenants/over-limit.ts';
import type { BatchParams, EventsQuery } from './batch-schemas.ts';
import { findBatch } from './find-batch.ts';

const pollMs = 500;
const heartbeatMs = 15_000;
/** Open streams of one process; each costs two small reads of Redis a second. */
const maxStreams = 500;
/** When a client reconnects after its stream broke off, in milliseconds. */
const reconnectMs = 2000;

type WatchDependencies = Pick<ApiDependencies, 'batches' | 'deltas' | 'places' | 'tenants' | 'now' | 'stopping'>;

/**
 * `GET /v1/batches/{batch_id}/events`: server-sent events, `progress` whenever the batch has changed, `done` at its end,
 * and when asked for, `delta` with text of answers that are being written.
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export const watchEvents = ({ batches, deltas, places, tenants, now, stopping }: WatchDependencies) => {
  let streams = 0;

  /** Takes one of the tenant's places for event streams. */
  const takePlace = async (tenant: string) => {
    const place = { tenant, kind: 'streams', id: randomUUID() } as const;
    const most = tenants.limitsOf(tenant).eventStreamsAtOnce;
    const outcome = await places.take({ ...place, most });
    if (outcome.kind === 'over limit') throw overLimit('eventStreamsAtOnce', { limit: most, used: outcome.used });
    let keptAt = now();
    return {
      async keep(): Promise<void> {
        if (now() - keptAt < keepPlaceEveryMs) return;
        keptAt = now();
        // When Redis is away, the next turn keeps it.
        await places.take(place).catch(() => {});
      },
      giveBack: () => places.giveBack(place).catch(() => {}),
    };
  };

  /** Reads the batch again. While Redis is away, returns it as it was. */
  const look = async (batch: Batch): Promise<Batch | undefined> => {
    try {
      return await batches.get(batch.id);
    } catch (error) {
      if (isRedisAway(error)) return batch;
      throw error;
    }
  };

  return async ({ tenant, keyEnded, params, query, response }: Call<BatchParams, EventsQuery>): Promise<void> => {
    if (streams >= maxStreams)
      throw new ApiError(429, 'Too many event streams are open.', { code: 'too_many_event_streams' });
    streams++;
    const place = await takePlace(tenant).catch((error: unknown) => {
      streams--;
      throw error;
    });

    // A stream that is refused for want of a place costs no more than that.
    let batch: Batch | undefined = await findBatch(batches, tenant, params.batch_id).catch(async (error: unknown) => {
      streams--;
      await place.giveBack();
      throw error;
    });

    const gone = new AbortController();
    response.on('close', () => gone.abort());
    const ended = AbortSignal.any([gone.signal, keyEnded, stopping]);
    let sentAt = now();
    let sent = '';
    const send = (text: string): void => {
      response.write(text);
      sentAt = now();
    };
    const sendDelta = (delta: Delta): void => {
      if (query.custom_id !== undefined && query.custom_id !== delta.custom_id) return;
      if (!response.writableNeedDrain) send(`event: delta\ndata: ${JSON.stringify(delta)}\n\n`);
    };

    const stopDeltas = query.deltas ? deltas.subscribe(batch.id, sendDelta) : undefined;
    try {
      response.set({ 'content-type': 'text/event-stream', 'cache-control': 'no-store, no-transform' });
      send(`retry: ${reconnectMs}\n\n`);
      while (batch && !ended.aborted) {
        const data = JSON.stringify(toBatchObject(batch));
        if (isTerminal(batch.status)) {
          send(`event: done\ndata: ${data}\n\n`);
          break;
        }
        // A client that reads slowly misses steps, not the end.
        if (data !== sent && !response.writableNeedDrain) {
          send(`event: progress\ndata: ${data}\n\n`);
          sent = data;
        } else if (now() - sentAt >= heartbeatMs) send(': still here\n\n');
        await sleep(pollMs, undefined, { signal: ended }).catch(() => {});
        await place.keep();
        batch = await look(batch);
      }
    } finally {
      streams--;
      stopDeltas?.();
      response.end();
      await place.giveBack();
    }
  };
};
