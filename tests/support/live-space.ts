import { inject } from 'vitest';
import { startTestApi, type TestApiOptions } from '../../apps/api/test/support/test-api.ts';
import { startTestWorker } from '../../apps/worker/test/test-worker.ts';
import { startTestProvider } from './test-provider.ts';

export interface LiveSpaceOptions extends Pick<TestApiOptions, 'env' | 'onLog'> {
  /** More of the configuration of the provider. */
  readonly provider?: object;
  /** More of the configuration. */
  readonly config?: object;
  /** Calls in flight. Default 50. */
  readonly concurrency?: number;
}

/** An api and a worker in this process, and a provider `lab` that answers as it is told. */
export const startLiveSpace = async ({ env = {}, onLog, ...options }: LiveSpaceOptions = {}) => {
  const redisUrl = inject('redisUrl');
  const provider = await startTestProvider();
  const configFile = JSON.stringify({
    providers: { lab: { baseUrl: provider.baseUrl, apiKeyEnv: 'LAB_API_KEY', ...options.provider } },
    retry: { attempts: 6, baseDelayMs: 10, maxDelayMs: 20 },
    ...options.config,
  });
  const shared = { LAB_API_KEY: 'sk-of-the-lab', ...env };
  const api = await startTestApi({ redisUrl, env: shared, configFile, ...(onLog ? { onLog } : {}) });
  const worker = await startTestWorker({
    env: { ...shared, ...api.shared, REDIS_URL: redisUrl, WORKER_CONCURRENCY: String(options.concurrency ?? 50) },
    configFile,
    onLog,
  });
  return {
    ...api,
    provider,
    async close(): Promise<void> {
      await worker.close();
      await provider.close();
      await api.close();
    },
  };
};

export type LiveSpace = Awaited<ReturnType<typeof startLiveSpace>>;
