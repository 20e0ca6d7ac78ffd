import { setTimeout as delay } from 'node:timers/promises';
import { isTerminal, type BatchStatus } from '@promptmill/core';
import { createKeys } from '@promptmill/queue';
import type { Redis } from 'ioredis';

/** The counts of a batch that fell. */
interface Fall {
  readonly batchId: string;
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  /** Results that are not counted any more. */
  readonly results: number;
}

/** A span of time, in epoch milliseconds. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

const everyMs = 50;

const fields = ['status', 'total', 'completed', 'failed', 'paused', 'stopping'] as const;
type Sample = Record<(typeof fields)[number], string | null>;

const settledOf = ({ completed, failed }: Sample): number => Number(completed) + Number(failed);

/** Whether a batch has requests that should be answered now. */
const isDue = (sample: Sample): boolean =>
  sample.status === 'in_progress' && !sample.paused && !sample.stopping && settledOf(sample) < Number(sample.total);

const show = ({ status, completed, failed }: Sample): string => `${status} ${completed ?? 0}+${failed ?? 0}`;

/** Watches the counts of all batches in Redis itself. */
export const watchProgress = (redis: Redis, prefix: string) => {
  const keys = createKeys(prefix);
  const open = new Map<string, Sample | undefined>();
  const ended = new Map<string, Sample>();
  const falls: Fall[] = [];
  /** When new results were seen. */
  const progressMs: number[] = [];
  const due: Span[] = [];
  let dueFromMs: number | undefined;
  const stop = new AbortController();
  let longestLagMs = 0;

  const look = async (id: string): Promise<Sample> => {
    const values = await redis.hmget(keys.batch(id), ...fields);
    return Object.fromEntries(fields.map((name, i) => [name, values[i] ?? null])) as Sample;
  };

  const compare = (batchId: string, before: Sample | undefined, now: Sample, atMs: number): boolean => {
    if (
      before &&
      (now.status === null || ['completed', 'failed'].some((name) => isLess(now, before, name as 'failed')))
    )
      falls.push({
        batchId,
        atMs,
        from: show(before),
        to: show(now),
        results: Math.max(0, settledOf(before) - settledOf(now)),
      });
    return settledOf(now) > (before ? settledOf(before) : 0);
  };
  const isLess = (now: Sample, before: Sample, name: 'completed' | 'failed'): boolean =>
    Number(now[name]) < Number(before[name]);

  const noteDue = (isDueNow: boolean, atMs: number): void => {
    if (isDueNow) dueFromMs ??= atMs;
    else if (dueFromMs !== undefined) {
      due.push({ fromMs: dueFromMs, toMs: atMs });
      dueFromMs = undefined;
    }
  };

  const cycle = async (): Promise<void> => {
    const ids = [...open.keys()];
    const samples = await Promise.all(ids.map(look));
    const atMs = Date.now();
    let progressed = false;
    for (const [i, id] of ids.entries()) {
      const sample = samples[i]!;
      progressed = compare(id, open.get(id), sample, atMs) || progressed;
      open.set(id, sample);
      if (!isTerminal(sample.status as BatchStatus)) continue;
      open.delete(id);
      ended.set(id, sample);
    }
    if (progressed) progressMs.push(atMs);
    noteDue(samples.some(isDue), atMs);
  };

  const running = (async () => {
    while (!stop.signal.aborted) {
      // Redis is away now and then. The next cycle looks again.
      await cycle().catch(() => {});
      const askedAtMs = performance.now();
      await delay(everyMs);
      longestLagMs = Math.max(longestLagMs, performance.now() - askedAtMs - everyMs);
    }
    noteDue(false, Date.now());
  })();

  return {
    add(batchId: string): void {
      open.set(batchId, undefined);
    },
    /** Batches that have not ended. */
    open: (): string[] => [...open].map(([id, sample]) => (sample ? `${id} (${show(sample)})` : id)),
    async close() {
      stop.abort();
      await running;
      // A batch that has ended never changes again.
      for (const [id, sample] of ended) compare(id, sample, await look(id), Date.now());
      return { falls, progressMs, due, longestLagMs };
    },
  };
};

export type Progress = Awaited<ReturnType<ReturnType<typeof watchProgress>['close']>>;
