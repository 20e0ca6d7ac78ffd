import { startApi } from '@promptmill/api';
import { startCollector } from '@promptmill/collector';
import { onlyWithKeys } from '@promptmill/core';
import { openFileStore } from '@promptmill/files';
import { type Config, createMetrics, type Logger, openTracing } from '@promptmill/runtime';
import { startWorker } from '@promptmill/worker';

export interface StartRolesOptions {
  readonly config: Config;
  readonly logger: Logger;
  /** Runs once the api answers, before any request is worked on. It gets the api's URL. */
  readonly beforeWork?: ((url: string) => Promise<void>) | undefined;
}

export interface RunningRoles {
  /** The api's URL, without `/v1`. */
  readonly url: string;
  /** Whether there are no API keys, so that every user of this machine may use the api. */
  isKeyless(): boolean;
  /** Applies the changed limits of lanes and tenants, and the changed webhooks. */
  applyChanges(config: Pick<Config, 'lanes' | 'tenants' | 'webhooks'>): Promise<void>;
  close(): Promise<void>;
}

/** Starts api, collector and worker in this process. When one of them cannot start, it stops the others. */
export const startRoles = async ({ config, logger, beforeWork }: StartRolesOptions): Promise<RunningRoles> => {
  await using stack = new AsyncDisposableStack();
  const files = await openFileStore(config.store);
  const metrics = createMetrics('all');
  const tracing = await openTracing({ config: config.tracing, service: 'promptmill', logger });
  stack.defer(() => tracing.close());

  // No other process has a key that is missing here, so the api takes no requests for that provider.
  const apiConfig = { ...config, lanes: onlyWithKeys(config.lanes) };
  const api = await startApi({ config: apiConfig, files, logger, metrics, tracing });
  stack.defer(() => api.close());
  await beforeWork?.(api.url);
  const collector = await startCollector({ config, files, logger, metrics, tracing });
  stack.defer(() => collector.close());
  const worker = await startWorker({ config, openFiles: async () => files, logger, metrics, tracing });
  stack.defer(() => worker.close());

  // The stack closes in reverse order, so the collector still gets what the worker records at its end.
  const started = stack.move();
  return {
    url: api.url,
    isKeyless: () => api.isKeyless(),
    async applyChanges(changed) {
      api.setTenants(changed.tenants);
      api.setWebhooks(changed.webhooks);
      await worker.setLimits(changed);
    },
    close: () => started.disposeAsync(),
  };
};
