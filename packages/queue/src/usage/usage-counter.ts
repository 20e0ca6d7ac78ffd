import type { BatchUsage } from '@promptmill/core';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys } from '../keys.ts';
import type { Charge } from '../results/result-recorder.ts';
import { countUsage, dayOf } from './usage-records.ts';

const addUsage = defineScript<[usage: string], (string | number)[], null>(
  new URL('./add-usage.lua', import.meta.url),
  countUsage,
);

/** What is counted goes to Redis this often. A process that dies loses the count of so long. */
const writeEveryMs = 250;

type Sums = Record<string, number>;

const argumentsOf = ([model, sums]: [model: string, sums: Sums]): (string | number)[] => {
  const entries = Object.entries(sums);
  return [model, entries.length, ...entries.flat()];
};

/** Counts what live calls use, by tenant, day and model. No call waits for it. */
export const createUsageCounter = (
  redis: RedisConnection,
  keys: Keys,
  onError: (error: Error) => void,
  now: () => number = Date.now,
) => {
  let waiting = new Map<string, Map<string, Sums>>();
  let timer: NodeJS.Timeout | undefined;

  const write = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const counted = waiting;
    waiting = new Map();
    await Promise.all([...counted].map(([key, models]) => addUsage(redis, [key], [...models].flatMap(argumentsOf))));
  };

  const count = ({ tenant, model }: Charge, more: Sums): void => {
    const key = keys.usage(tenant, dayOf(now()));
    const models = waiting.get(key) ?? new Map<string, Sums>();
    waiting.set(key, models);
    const sums = models.get(model) ?? {};
    models.set(model, sums);
    for (const [name, amount] of Object.entries(more)) sums[name] = (sums[name] ?? 0) + amount;
    timer ??= setTimeout(() => void write().catch(onError), writeEveryMs);
  };

  return {
    /** Counts an answer. */
    add(charge: Charge, usage: BatchUsage): void {
      const { inputCharacters, nanoUsd } = charge;
      const cost = nanoUsd === undefined ? { unpriced: 1 } : { spentNanoUsd: nanoUsd };
      count(charge, { ...usage, answers: 1, inputCharacters, ...cost });
    },
    /** Counts a call that gave no answer although its provider says what it used. */
    addWaste(charge: Charge): void {
      count(charge, charge.nanoUsd === undefined ? { unpricedWaste: 1 } : { wastedNanoUsd: charge.nanoUsd });
    },
    /** Writes what has been counted. */
    write,
    close: write,
  };
};

export type UsageCounter = ReturnType<typeof createUsageCounter>;
