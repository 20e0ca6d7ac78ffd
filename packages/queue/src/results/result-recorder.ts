import type { BatchUsage } from '@promptmill/core';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys } from '../keys.ts';

export type RequestStatus = 'completed' | 'failed';

/** What is to become of a request that a worker has in hand. */
export type RequestState = 'run' | 'settled' | 'paused' | 'dropped';

export interface RecordedRequest {
  readonly batchId: string;
  readonly index: number;
  readonly bytes: number;
}

const beginRequest = defineScript<[batch: string, settledBits: string], [index: number, bytes: number], RequestState>(
  new URL('./begin-request.lua', import.meta.url),
);
const recordResult = defineScript<
  [batch: string, settledBits: string, results: string],
  [
    batchId: string,
    index: number,
    status: RequestStatus,
    line: string,
    bytes: number,
    inputTokens: number,
    cachedTokens: number,
    outputTokens: number,
    reasoningTokens: number,
  ],
  'recorded' | 'duplicate' | 'closed'
>(new URL('./record-result.lua', import.meta.url));

/** The worker's side: what happens to a request, as far as its batch is concerned. */
export const createResultRecorder = (redis: RedisConnection, keys: Keys) => {
  return {
    begin: (request: RecordedRequest): Promise<RequestState> =>
      beginRequest(
        redis,
        [keys.batch(request.batchId), keys.settledBits(request.batchId)],
        [request.index, request.bytes],
      ),

    /** Whether a batch wants its requests to be begun. Only looks, where {@link begin} counts. */
    async isRunning(batchId: string): Promise<boolean> {
      const [status, stopping, paused] = await redis.hmget(keys.batch(batchId), 'status', 'stopping', 'paused');
      return status === 'in_progress' && stopping === null && paused === null;
    },

    /** Only the first terminal result of a request is kept. */
    record: (
      { batchId, index, bytes }: RecordedRequest,
      status: RequestStatus,
      line: string,
      usage: BatchUsage,
    ): Promise<'recorded' | 'duplicate' | 'closed'> =>
      recordResult(
        redis,
        [keys.batch(batchId), keys.settledBits(batchId), keys.resultsOf(batchId)],
        [
          batchId,
          index,
          status,
          line,
          bytes,
          usage.inputTokens,
          usage.cachedTokens,
          usage.outputTokens,
          usage.reasoningTokens,
        ],
      ),
  };
};

export type ResultRecorder = ReturnType<typeof createResultRecorder>;
