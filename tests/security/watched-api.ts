import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { closeRedis, connectRedis, createKeys } from '@promptmill/queue';
import { inject } from 'vitest';
import type { Measured } from '../support/watch-loop-process.ts';
import { freePort } from '../support/free-port.ts';
import { mainPath } from '../support/main-path.ts';
import { deleteKeys } from '../support/redis-keys.ts';
import { type Answer, createNewAddress, send, type SentRequest } from './send.ts';

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

const tenants = { alice: 'alice-key-0001', bob: 'bob-key-00001' };
type Tenant = keyof typeof tenants;

export interface WatchedRequest extends SentRequest {
  readonly path: string;
  /** Default: alice. */
  readonly tenant?: Tenant;
}

const untilReady = async (url: string, child: ChildProcess): Promise<void> => {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the api ended with ${child.exitCode}`);
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

/** An api as a process of its own, with two tenants, that tells for how long its event loop was blocked. */
export const startWatchedApi = async () => {
  const redisUrl = inject('redisUrl');
  const directory = await mkdtemp(join(tmpdir(), 'promptmill-security-'));
  const prefix = `test-${randomBytes(6).toString('hex')}`;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(process.execPath, ['--import', at('tests/support/watch-loop-process.ts'), mainPath('api')], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: join(tmpdir(), 'promptmill-test-compile-cache'),
      PORT: String(port),
      REDIS_URL: redisUrl,
      PROMPTMILL_PREFIX: prefix,
      PROMPTMILL_DATA_DIR: join(directory, 'data'),
      PROMPTMILL_API_KEYS: Object.entries(tenants)
        .map((entry) => entry.join(':'))
        .join(','),
      BOARD_USER: 'admin',
      BOARD_PASSWORD: 'open-sesame',
      PROMPTMILL_TRUST_PROXY: 'loopback',
      LOG_LEVEL: 'fatal',
      // No worker runs, so nobody is called there.
      SIMULATOR_BASE_URL: 'http://127.0.0.1:9/v1',
    },
  });
  await untilReady(url, child);
  // A server that may not keep a connection closes it after an early answer, while the body is on its way.
  const newAddress = createNewAddress();
  const agent = new Agent({ keepAlive: true });
  const redis = connectRedis({ url: redisUrl, whileAway: 'wait', onError: () => {} });

  return {
    url,
    redis,
    keys: createKeys(prefix),

    send({ headers = {}, tenant = 'alice', ...sent }: WatchedRequest): Promise<Answer> {
      const authorization = `Bearer ${tenants[tenant]}`;
      return send(`${url}/`, { ...sent, headers: { ...newAddress(), authorization, ...headers }, agent });
    },

    /** Starts the next measurement. */
    async measure(): Promise<Measured> {
      child.send('measure');
      const [measured] = (await once(child, 'message')) as [Measured];
      return measured;
    },

    async close(): Promise<void> {
      agent.destroy();
      child.kill();
      await once(child, 'close');
      await deleteKeys(redis, prefix);
      await closeRedis(redis);
      await rm(directory, { recursive: true, force: true });
    },
  };
};

export type WatchedApi = Awaited<ReturnType<typeof startWatchedApi>>;
