import { spawnSync } from 'node:child_process';
import { GenericContainer, Wait } from 'testcontainers';
import type { TestProject } from 'vitest/node';
import { startLocalCluster } from './local-cluster.ts';
import { type LocalRedis, startLocalRedis } from './local-redis.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A real Redis that all tests share. Each test uses a key prefix of its own. */
    redisUrl: string;
  }
}

const redisArguments = ['--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction'];

const dockerAnswers = (): boolean =>
  spawnSync('docker', ['info'], { stdio: 'ignore', timeout: 5000, env: process.env }).status === 0;

const startContainer = async (): Promise<LocalRedis> => {
  const container = await new GenericContainer('redis:8-alpine')
    .withCommand(['redis-server', '--protected-mode', 'no', ...redisArguments])
    .withExposedPorts(6379)
    .withWaitStrategy(Wait.forLogMessage(/Ready to accept connections/))
    .start();
  return {
    url: `redis://${container.getHost()}:${container.getMappedPort(6379)}`,
    async stop() {
      await container.stop();
    },
  };
};

const startRedis = async (): Promise<LocalRedis> => {
  const given = process.env['TEST_REDIS_URL'];
  if (given) return { url: given, stop: async () => {} };
  if (process.env['TEST_REDIS_CLUSTER']) return startLocalCluster({ redisArguments });
  if (dockerAnswers()) {
    try {
      return await startContainer();
    } catch (error) {
      console.warn(`Docker answers but runs no redis:8-alpine (${String(error)}); using a local redis-server`);
    }
  }
  return startLocalRedis(redisArguments);
};

// Each project of the test run calls this; they share one Redis.
let shared: Promise<LocalRedis> | undefined;
let users = 0;

export const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  users++;
  shared ??= startRedis();
  const redis = await shared;
  project.provide('redisUrl', redis.url);
  return async () => {
    users--;
    if (users === 0) await redis.stop();
  };
};
