import type { LaneLimits } from '@promptmill/core';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys } from '../keys.ts';

type ScriptKeys = [limits: string, configured: string, changed: string, state: string, meta: string];
const applyLua = new URL('./apply-lane-limits.lua', import.meta.url);
const setScript = defineScript<ScriptKeys, (string | number)[], 0 | 1>(
  new URL('./set-lane-limits.lua', import.meta.url),
  applyLua,
);
const changeScript = defineScript<ScriptKeys, (string | number)[], null>(
  new URL('./change-lane-limits.lua', import.meta.url),
  applyLua,
);

/** Whether this is the name of a deployment, `lane@deployment`, and not of a lane. */
export const isDeployment = (name: string): boolean => name.includes('@');

/** The lane of a deployment, or the lane itself. */
export const laneOf = (name: string): string => name.split('@')[0] ?? name;

/** The hash with how many calls may be in flight: that of BullMQ, which gives out no more jobs of a lane. */
export const metaKeyOf = (keys: Keys, name: string): string =>
  isDeployment(name) ? keys.deploymentMeta(name) : keys.laneJobs(name, 'meta');

const scriptKeys = (keys: Keys, name: string): ScriptKeys => [
  keys.laneLimits(name),
  keys.laneConfigured(name),
  keys.laneChanged(name),
  keys.laneState(name),
  metaKeyOf(keys, name),
];

/** What a worker's configuration says of a lane or a deployment. */
export interface LaneTerms {
  readonly limits: LaneLimits;
  /** Calls in flight at the start, where the limits set none. After that the provider's answers decide. */
  readonly startWidth: number;
  /** Milliseconds between probes of a provider that accepts no call until someone acts. */
  readonly probeIntervalMs: number;
  /** Whether the worker has the provider's key, or the provider needs none. */
  readonly hasKey: boolean;
}

/** Limits that take the place of the configured ones. `null`: as configured again. What is absent stays as it is. */
export type LaneLimitChanges = { readonly [Limit in keyof LaneLimits]?: LaneLimits[Limit] | null };

export interface KnownLaneLimits {
  /** As the worker that came last has configured them. Undefined before the first. */
  readonly configured?: LaneLimits;
  /** Those that an admin has changed. */
  readonly changed: LaneLimits;
  /** Whether that worker can call the provider. Undefined before the first. */
  readonly hasKey?: boolean;
}

/** Sets the limits of a lane or a deployment as configured; changed ones stay in force. Resolves with whether tokens are limited. */
export const setLaneLimits = async (
  redis: RedisConnection,
  keys: Keys,
  lane: string,
  { limits, startWidth, probeIntervalMs, hasKey }: LaneTerms,
): Promise<boolean> => {
  const { concurrency, requests, tokensPerMinute: tokens } = limits;
  const fields = { concurrency, requests: requests?.count, windowMs: requests?.windowMs, tokens };
  const pairs = Object.entries({ ...fields, startWidth, probeIntervalMs, hasKey: hasKey ? 1 : 0 });
  const given = pairs.flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
  return (await setScript(redis, scriptKeys(keys, lane), given)) === 1;
};

/**
 * Changes limits of a lane or a deployment for all workers, from its next call on. They last as Redis's data does, until
 * they are changed again.
 */
export const changeLaneLimits = async (
  redis: RedisConnection,
  keys: Keys,
  lane: string,
  { concurrency, requests, tokensPerMinute: tokens }: LaneLimitChanges,
): Promise<void> => {
  const fields = {
    concurrency,
    requests: requests && requests.count,
    windowMs: requests && requests.windowMs,
    tokens,
  };
  const pairs = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [name, value ?? '']));
  await changeScript(redis, scriptKeys(keys, lane), pairs);
};

type Read = (string | null)[];
const fields = ['concurrency', 'requests', 'windowMs', 'tokens'] as const;

const toLimits = ([concurrency, requests, windowMs, tokens]: Read): LaneLimits => ({
  ...(concurrency ? { concurrency: Number(concurrency) } : {}),
  ...(requests ? { requests: { count: Number(requests), windowMs: Number(windowMs) } } : {}),
  ...(tokens ? { tokensPerMinute: Number(tokens) } : {}),
});

export const readLaneLimits = async (redis: RedisConnection, keys: Keys, lane: string): Promise<KnownLaneLimits> => {
  const [[hasKey, ...configured], changed] = await Promise.all([
    redis.hmget(keys.laneConfigured(lane), 'hasKey', ...fields) as Promise<[string | null, ...Read]>,
    redis.hmget(keys.laneChanged(lane), ...fields) as Promise<Read>,
  ]);
  return {
    ...(hasKey === null ? {} : { configured: toLimits(configured), hasKey: hasKey === '1' }),
    changed: toLimits(changed),
  };
};
