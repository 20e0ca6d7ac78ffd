import { setTimeout as delay } from 'node:timers/promises';
import { type BatchObject, type Delta, isTerminal } from '@promptmill/core';
import type { ApiClient } from '../api/api-client.ts';
import { CliError } from '../cli-error.ts';

const maxBrokenConnections = 5;
const reconnectDelayMs = 1000;

const mayReconnect = (error: unknown): boolean =>
  !(error instanceof CliError) || error.code === 'unreachable' || error.code.startsWith('http_5');

export interface WatchBatchOptions {
  /** Gets the batch at each event of the server, the last one included. */
  readonly onProgress: (batch: BatchObject) => void;
  /** Gets the text of streamed answers as it comes. Default: answers are not streamed. */
  readonly onDelta?: ((delta: Delta) => void) | undefined;
  readonly signal?: AbortSignal;
}

/**
 * Follows a batch until it is terminal. When a connection breaks, it opens a new one.
 *
 * @returns the terminal batch.
 * @throws CliError after {@link maxBrokenConnections} broken connections in a row and one more failure, or at once on
 *   an error that lasts; the signal's reason after an abort.
 */
export const watchBatch = async (
  client: ApiClient,
  batchId: string,
  { onProgress, onDelta, signal }: WatchBatchOptions,
): Promise<BatchObject> => {
  for (let broken = 0; ; broken++) {
    try {
      for await (const batch of client.batchEvents(batchId, signal, onDelta)) {
        broken = 0;
        onProgress(batch);
        if (isTerminal(batch.status)) return batch;
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (broken >= maxBrokenConnections || !mayReconnect(error)) throw error;
    }
    await delay(reconnectDelayMs, undefined, signal ? { signal } : {});
  }
};
