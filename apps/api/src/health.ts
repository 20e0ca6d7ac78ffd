import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError } from '@promptmill/core';
import type { Call } from './call.ts';
import type { ApiDependencies } from './dependencies.ts';
import { createObserveLanes } from './lanes/observe-lanes.ts';
import { createObserveWebhooks } from './observe-webhooks.ts';

const pingTimeoutMs = 1000;

/** `GET /livez`: the process answers. */
export const reportLive = async () => ({ status: 'ok' as const });

/** `GET /readyz`: the process can do its work: Redis answers. */
export const reportReady =
  ({ redis }: Pick<ApiDependencies, 'redis'>) =>
  async () => {
    const notReady = new ApiError(503, 'Redis does not answer.', { code: 'not_ready' });
    if (redis.status !== 'ready') throw notReady;
    const timeout = new AbortController();
    const answered = await Promise.race([
      redis.ping().catch(() => undefined),
      sleep(pingTimeoutMs, undefined, { signal: timeout.signal }).catch(() => undefined),
    ]);
    timeout.abort();
    if (answered !== 'PONG') throw notReady;
    return { status: 'ok' as const };
  };

/** `GET /metrics`, in Prometheus' text format. */
export const reportMetrics = (
  dependencies: Pick<
    ApiDependencies,
    'config' | 'redis' | 'keys' | 'live' | 'countLiveCalls' | 'webhooksQueue' | 'metrics' | 'now' | 'logger'
  >,
) => {
  const { metrics, logger } = dependencies;
  const observeLanes = createObserveLanes(dependencies);
  const observeWebhooks = createObserveWebhooks(dependencies);
  return async ({ response }: Call): Promise<void> => {
    await observeLanes().catch((error: unknown) => logger.debug({ err: error }, 'lanes'));
    await observeWebhooks().catch((error: unknown) => logger.debug({ err: error }, 'webhooks'));
    const shown = response.locals.seesSpending ? metrics.withSpending : metrics.registry;
    response.set('content-type', shown.contentType).send(await shown.metrics());
  };
};
