import { computed, signal } from '@preact/signals';
import type { BatchObject, Delta } from '@promptmill/core';
import { createRateMeter, isTerminal } from '@promptmill/core/display';
import type { ApiClient } from '../api/api-client.ts';
import { ApiError, messageOf } from '../api/api-error.ts';
import { applyDelta, type LiveAnswer } from './apply-delta.ts';
import { addPoint, curveOf, type ProgressPoint } from './progress-points.ts';

/** How long to wait before the next try when there is no stream of events. */
const againMs = 2000;
/** Text of answers may come hundreds of times a second; it is shown this often. */
const showDeltasMs = 120;

/** Follows one batch by its event stream, from the moment of opening until it ends or the view is left. */
export const createBatchWatch = (client: ApiClient, id: string, now: () => number) => {
  const batch = signal<BatchObject | undefined>(undefined);
  const problem = signal<string | undefined>(undefined);
  const answers = signal<readonly LiveAnswer[]>([]);
  const points = signal<readonly ProgressPoint[]>([]);
  const tokensPerSecond = signal(0);
  const tokens = createRateMeter(now);
  const left = new AbortController();
  let waiting: Delta[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;

  const showDeltas = (): void => {
    timer = undefined;
    answers.value = waiting.reduce(applyDelta, answers.value);
    waiting = [];
  };

  const onDelta = (delta: Delta): void => {
    waiting.push(delta);
    timer ??= setTimeout(showDeltas, showDeltasMs);
  };

  const onBatch = (next: BatchObject): void => {
    batch.value = next;
    problem.value = undefined;
    tokens.add(next.usage.total_tokens);
    tokensPerSecond.value = tokens.perSecond();
    const { completed, failed } = next.request_counts;
    if (next.status === 'in_progress')
      points.value = addPoint(points.value, {
        at: Math.floor(now() / 1000),
        completed,
        failed,
        retries: next.promptmill.retries,
      });
    if (isTerminal(next.status)) answers.value = [];
  };

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const after = setTimeout(resolve, ms);
      left.signal.addEventListener('abort', () => {
        clearTimeout(after);
        resolve();
      });
    });

  const hasEnded = (): boolean => left.signal.aborted || (batch.value !== undefined && isTerminal(batch.value.status));

  /** Too many streams are open elsewhere: then the batch is asked for now and then. */
  const look = async (error: unknown): Promise<void> => {
    if (error instanceof ApiError && error.status === 429) onBatch(await client.getBatch(id, left.signal));
    else throw error;
  };

  const follow = async (): Promise<void> => {
    for (;;) {
      try {
        await client.watchBatch(id, { onBatch, onDelta }, left.signal).catch(look);
      } catch (error) {
        if (left.signal.aborted) return;
        problem.value = messageOf(error);
        if (error instanceof ApiError && [401, 403, 404].includes(error.status)) return;
      }
      if (hasEnded()) return;
      await pause(againMs);
    }
  };

  return {
    batch,
    problem,
    answers,
    tokensPerSecond,
    curve: computed(() => (batch.value ? curveOf(batch.value, points.value, now() / 1000) : [])),
    begin(): void {
      void follow();
      client.listProgress(id, left.signal).then(
        (known) => {
          points.value = points.value.reduce(addPoint, known);
        },
        () => {},
      );
    },
    /** The batch was changed here, or is to be looked at once more. */
    take: onBatch,
    stop(): void {
      left.abort();
      clearTimeout(timer);
    },
  };
};
