import { isRedisSupported, minRedisVersion, showRedisUrl } from '@promptmill/core';
import { closeRedis, connectRedis, mastersOf } from '@promptmill/queue';
import { type Config, findRedis } from '@promptmill/runtime';
import { type Check, checksOf } from './check.ts';

const { ok, warning, failed } = checksOf('redis');

const connectTimeoutMs = 3000;

const readInfo = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text
      .split(/\r?\n/)
      .filter((line) => line.includes(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)] as const),
  );

const checkVersion = (info: ReadonlyMap<string, string>): Check => {
  const [name, version] = info.has('valkey_version')
    ? ['Valkey', info.get('valkey_version')]
    : ['Redis', info.get('redis_version')];
  return isRedisSupported(version ?? '')
    ? ok(`${name} ${version}`)
    : failed(`${name} ${version} is too old`, `Promptmill needs ${minRedisVersion} or newer: update it.`);
};

const checkPersistence = (info: ReadonlyMap<string, string>): Check => {
  if (info.get('aof_enabled') !== '1')
    return warning(
      'keeps no append-only file: what was accepted since its last snapshot is lost when it stops',
      'redis-cli config set appendonly yes, and `appendonly yes` in redis.conf',
    );
  if (info.get('aof_last_write_status') !== 'ok')
    return failed('cannot write its append-only file', 'Look into its log; its disk may be full.');
  return ok('keeps an append-only file');
};

const checkMaxmemory = (info: ReadonlyMap<string, string>): Check => {
  const bytes = Number(info.get('maxmemory'));
  return bytes > 0
    ? ok(`takes ${Math.round(bytes / 2 ** 20)} MiB of memory at most`)
    : warning(
        'has no maxmemory: large batches may take all the memory of its machine',
        'redis-cli config set maxmemory 1gb, and `maxmemory 1gb` in redis.conf (or a half of what its machine can spare)',
      );
};

const checkEviction = (info: ReadonlyMap<string, string>): Check => {
  const policy = info.get('maxmemory_policy');
  return policy === 'noeviction'
    ? ok('evicts nothing when its memory is full')
    : failed(
        `its maxmemory-policy is ${policy}: when its memory is full it deletes requests`,
        'redis-cli config set maxmemory-policy noeviction, and `maxmemory-policy noeviction` in redis.conf',
      );
};

const unreachableHint = (problem: NodeJS.ErrnoException): string => {
  if (/ECONNREFUSED|ENOENT/.test(problem.code ?? problem.message))
    return 'Is it running? Start it, or correct REDIS_URL; without REDIS_URL `promptmill serve` starts one of its own.';
  if (/NOAUTH|WRONGPASS|NOPERM/.test(problem.message)) return 'The user or password in REDIS_URL is wrong.';
  if (problem.message.includes('cluster support disabled')) return 'It is no cluster: write redis:// in REDIS_URL.';
  return 'Is REDIS_URL right, and may this machine reach it?';
};

const checkServer = (info: ReadonlyMap<string, string>, url: string): readonly Check[] => [
  ...(info.get('cluster_enabled') === '1' && !url.includes('+cluster:')
    ? [failed('is a node of a cluster', 'Write redis+cluster:// (with TLS rediss+cluster://) in REDIS_URL.')]
    : []),
  checkVersion(info),
  checkPersistence(info),
  checkMaxmemory(info),
  checkEviction(info),
];

/** Keeps one of the checks with the same message, since several servers may give it. */
const oncePerMessage = (checks: readonly Check[]): readonly Check[] => [
  ...new Map(checks.map((check) => [check.message, check])).values(),
];

/** A cluster's own error says only that all nodes failed; the error of its last node says why. */
const causeOf = (error: Error & { readonly lastNodeError?: Error | null }): Error => error.lastNodeError ?? error;

const checkNamed = async (url: string): Promise<readonly Check[]> => {
  let problem: Error = new Error(`no answer within ${connectTimeoutMs / 1000} s`);
  const redis = connectRedis({ url, whileAway: 'fail', onError: (error) => (problem = causeOf(error)) });
  const patience = AbortSignal.timeout(connectTimeoutMs);
  try {
    await new Promise<void>((resolve, reject) => {
      redis.once('ready', resolve);
      // The first refused attempt tells enough.
      redis.once('close', () => reject(problem));
      patience.addEventListener('abort', () => reject(problem));
    });
    const servers = await Promise.all(mastersOf(redis).map(async (server) => readInfo(await server.info())));
    const sentAt = performance.now();
    await redis.ping();
    const answer = ok(`answers at ${showRedisUrl(url)} within ${(performance.now() - sentAt).toFixed(1)} ms`);
    return [answer, ...oncePerMessage(servers.flatMap((info) => checkServer(info, url)))];
  } catch (error) {
    const { message } = error as Error;
    return [failed(`cannot use ${showRedisUrl(url)}: ${message}`, unreachableHint(error as NodeJS.ErrnoException))];
  } finally {
    await closeRedis(redis);
  }
};

/** Checks the Redis that REDIS_URL names or, when it is not set, whether this machine can start one. */
export const checkRedis = async ({ redisIsNamed, redisUrl }: Config): Promise<readonly Check[]> => {
  if (redisIsNamed) return checkNamed(redisUrl);
  const found = await findRedis();
  return found
    ? [ok(`REDIS_URL is not set; run and serve start a Redis of their own (${found})`)]
    : [
        failed(
          'REDIS_URL is not set, and there is no redis-server or valkey-server (7.0 or newer), and no Docker',
          'apt-get install redis-server, brew install redis, dnf install valkey or apk add redis; or set REDIS_URL.',
        ),
      ];
};
