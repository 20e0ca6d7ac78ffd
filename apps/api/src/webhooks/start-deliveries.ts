import { type OperatorWebhook, webhooksQueueName } from '@promptmill/core';
import {
  closeRedis,
  closeWorkers,
  connectRedis,
  createBatchStore,
  createDeliveries,
  createKeys,
  createWebhookRecords,
  type DeliveryJob,
  openWorker,
} from '@promptmill/queue';
import { type Config, createErrorLog, type Logger, type Metrics, type PassFailPoint } from '@promptmill/runtime';
import { createDeliver } from './deliver.ts';
import { createDeliveryPlaces } from './delivery-places.ts';
import { createFindTarget } from './find-target.ts';
import { type ResolveHost, createResolveHost } from './resolve-host.ts';
import { createSendEvent } from './send-event.ts';

export interface StartDeliveriesOptions {
  readonly config: Pick<Config, 'redisUrl' | 'redisPrefix' | 'graceMs' | 'allowPrivateWebhooks'>;
  /** The operator's webhooks that are in force. */
  readonly operatorWebhooks: () => readonly OperatorWebhook[];
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly passFailPoint: PassFailPoint;
  /** Default: DNS. */
  readonly resolveHost?: ResolveHost | undefined;
}

/** Deliveries that a process has in work. Each waits for a stranger most of its time. */
const atOnce = 200;
/** So fifty tenants can have slow receivers before others wait. */
const atOnceOfTenant = 4;
/** Time after the grace in which attempts that were given up go back to the queue. */
const letGoMs = 1000;

/** Takes the jobs of the queue `webhooks`: posts each event to its URL. */
export const startDeliveries = (options: StartDeliveriesOptions) => {
  const { config, operatorWebhooks, logger, metrics, passFailPoint } = options;
  const { allowPrivateWebhooks: allowPrivate } = config;
  const logError = createErrorLog(logger);
  const onError = (error: Error): void => logError(error, 'webhooks');
  // A rate does not count the first value of a counter.
  for (const outcome of ['delivered', 'failed', 'dead', 'dropped']) metrics.webhookDeliveries.inc({ outcome }, 0);
  const closing = new AbortController();
  const giveUp = new AbortController();
  const redis = connectRedis({ url: config.redisUrl, whileAway: 'wait', onError, closing: closing.signal });
  const keys = createKeys(config.redisPrefix);
  const deliver = createDeliver({
    deliveries: createDeliveries(redis, keys),
    findTarget: createFindTarget({
      webhooks: createWebhookRecords(redis, keys),
      batches: createBatchStore(redis, keys),
      operators: operatorWebhooks,
      now: Date.now,
    }),
    send: createSendEvent({
      resolveHost: options.resolveHost ?? createResolveHost(allowPrivate),
      allowPrivate,
      giveUp: giveUp.signal,
      now: Date.now,
    }),
    places: createDeliveryPlaces({ ofTenant: atOnceOfTenant }),
    logger,
    metrics,
    passFailPoint,
    now: Date.now,
    random: Math.random,
  });
  const worker = openWorker<DeliveryJob>(deliver, {
    connection: redis,
    keys,
    name: webhooksQueueName,
    concurrency: atOnce,
    onError,
  });
  worker.on('failed', (job, error) =>
    logError(error, 'a delivery could not be noted; it is tried again', { delivery: job?.data.deliveryId }),
  );
  return {
    /** Attempts under way have the configured `graceMs` to end. Then another process repeats them. */
    async close(): Promise<void> {
      closing.abort();
      const giveUpLater = setTimeout(() => giveUp.abort(), config.graceMs);
      await closeWorkers([worker], redis, config.graceMs + letGoMs);
      clearTimeout(giveUpLater);
      giveUp.abort();
      await closeRedis(redis);
    },
  };
};
