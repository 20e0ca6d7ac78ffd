import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { OperatorWebhook, TenantsConfig } from '@promptmill/core';
import { createDiskStore } from '@promptmill/files';
import { closeRedis, connectRedis, createKeys } from '@promptmill/queue';
import { createLogger, createMetrics, loadConfig } from '@promptmill/runtime';
import OpenAI from 'openai';
import { deleteKeys } from '../../../../tests/support/redis-keys.ts';
import { startApi, type StartApiOptions } from '../../src/index.ts';

export const keys = { alice: 'alice-key-0001', bob: 'bob-key-00001' };
/** For an api that is started with `env: { PROMPTMILL_ADMIN_KEY: adminKey }`. */
export const adminKey = 'admin-key-0001';
export const board = { user: 'admin', password: 'open-sesame' };

export interface TestApiOptions {
  readonly redisUrl: string;
  /** More of the process's environment, such as `PROMPTMILL_MAX_LINE_BYTES`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The content of `promptmill.yaml`. */
  readonly configFile?: string;
  /** A connection without a byte is cut after this time, in milliseconds. */
  readonly idleTimeoutMs?: number;
  /** Takes the log's lines. Default: nothing is logged. */
  readonly onLog?: (line: string) => void;
  /** Finds the addresses of webhooks' hosts. Default: DNS. */
  readonly resolveHost?: StartApiOptions['resolveHost'];
}

/** For an api that anyone on this machine may use. */
export const keyless = {
  PROMPTMILL_API_KEYS: undefined,
  PROMPTMILL_ADMIN_KEY: undefined,
  BOARD_USER: undefined,
  BOARD_PASSWORD: undefined,
};

/** An api of its own: port, data folder and key prefix. Without a worker, so that batches stay where a test puts them. */
export const startTestApi = async ({
  redisUrl,
  env = {},
  configFile = '',
  idleTimeoutMs,
  onLog,
  resolveHost,
}: TestApiOptions) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'promptmill-api-'));
  const prefix = `test-${randomBytes(6).toString('hex')}`;
  const config = loadConfig(
    {
      PORT: '0',
      REDIS_URL: redisUrl,
      PROMPTMILL_DATA_DIR: directory,
      PROMPTMILL_PREFIX: prefix,
      PROMPTMILL_API_KEYS: `alice:${keys.alice},bob:${keys.bob}`,
      BOARD_USER: board.user,
      BOARD_PASSWORD: board.password,
      PROMPTMILL_GRACE_MS: '1000',
      SIMULATOR_BASE_URL: 'http://127.0.0.1:8089/v1',
      ...env,
    },
    { readFile: () => configFile },
  );
  const logger = onLog
    ? createLogger({ level: config.logLevel, role: 'api', stream: { write: onLog } })
    : createLogger({ level: 'silent', role: 'api' });
  const storeDirectory = path.join(config.dataDirectory, 'store');
  const files = createDiskStore({ directory: storeDirectory });
  const api = await startApi({ config, files, logger, metrics: createMetrics('api'), idleTimeoutMs, resolveHost });
  const redis = connectRedis({ url: redisUrl, whileAway: 'wait', onError: () => {} });
  const clientOf = (apiKey: string) => new OpenAI({ baseURL: `${api.url}/v1`, apiKey, maxRetries: 0 });
  return {
    url: api.url,
    prefix,
    directory,
    /** The variables of a further api that shares files and keys in Redis with this one. */
    shared: { PROMPTMILL_DATA_DIR: directory, PROMPTMILL_PREFIX: prefix },
    setTenants: (tenants: TenantsConfig) => api.setTenants(tenants),
    setWebhooks: (webhooks: readonly OperatorWebhook[]) => api.setWebhooks(webhooks),
    files,
    redis,
    keys: createKeys(prefix),
    alice: clientOf(keys.alice),
    bob: clientOf(keys.bob),
    clientOf,
    /** A plain request as alice. */
    request(route: string, init: RequestInit = {}): Promise<Response> {
      const headers = new Headers(init.headers);
      if (!headers.has('authorization')) headers.set('authorization', `Bearer ${keys.alice}`);
      return fetch(`${api.url}${route}`, { ...init, headers });
    },
    /** Keys of everything the store holds. */
    async stored(): Promise<string[]> {
      const found = await Array.fromAsync(files.list(''));
      return found.map(({ key }) => key);
    },
    /** Files of the store that are being written. */
    partialUploads: () => readdir(path.join(storeDirectory, 'tmp~')).catch(() => []),
    /** Stops the api, and keeps what it has written. */
    stop: () => api.close(),
    async close(): Promise<void> {
      await api.close();
      await deleteKeys(redis, prefix);
      await closeRedis(redis);
      await rm(directory, { recursive: true, force: true });
    },
  };
};

export type TestApi = Awaited<ReturnType<typeof startTestApi>>;
