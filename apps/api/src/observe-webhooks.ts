import type { ApiDependencies } from './dependencies.ts';

/** Brings the webhooks' gauge up to date; a Redis that is away leaves it as it was. */
export const createObserveWebhooks =
  ({ redis, webhooksQueue, metrics }: Pick<ApiDependencies, 'redis' | 'webhooksQueue' | 'metrics'>) =>
  async (): Promise<void> => {
    if (redis.status !== 'ready') return;
    const states = ['active', 'wait', 'prioritized', 'delayed'] as const;
    metrics.webhookDeliveriesWaiting.set(await webhooksQueue.getJobCountByTypes(...states));
  };
