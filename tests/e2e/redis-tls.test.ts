import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Certificate, createCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { startLocalCluster } from '../support/local-cluster.ts';
import { createRedisServer } from '../support/local-redis.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { inLongForm } from '../support/long-form.ts';

/** The permissions that docs/operations.md gives an ACL user, and those that it adds for a cluster. */
const permissions = async () => {
  const page = await readFile(join(import.meta.dirname, '../../docs/operations.md'), 'utf8');
  const line = /^user promptmill on >\S+ ~pm:\* &pm:\* (.*)$/m.exec(page)?.[1];
  const onCluster = /a cluster's user also `(.*)`/.exec(page)?.[1];
  if (line === undefined || onCluster === undefined)
    throw new Error('docs/operations.md does not say what an ACL user needs');
  return { line, onCluster };
};

describe('over TLS, a batch runs', () => {
  let certificate: Certificate;
  const running: { stop(): Promise<unknown> }[] = [];

  beforeAll(async () => {
    certificate = await createCertificate();
  });
  afterAll(async () => {
    for (const each of running.toReversed()) await each.stop();
    await certificate.remove();
  });

  const start = async (redisArguments: readonly string[], config?: string) => {
    const tlsPort = await freePort();
    const server = await createRedisServer([...redisArguments, ...certificate.redisArguments(tlsPort)], config);
    running.push(server);
    await server.start();
    return { ...server, tlsPort };
  };

  const runBatch = async (redisUrl: string, tlsUrl: string): Promise<Stack> => {
    const env = { NODE_EXTRA_CA_CERTS: certificate.file };
    const stack = await startStack({ redisUrl, redisUrlOf: () => tlsUrl, env });
    running.push(stack);
    const input = inputOf(200);
    const { id } = await createBatch(stack.client, input);
    await checkBatch(stack, await untilBatch(stack.client, id), input);
    return stack;
  };

  const expectNothingRefused = async (urls: readonly string[]): Promise<void> => {
    for (const url of urls) {
      const redis = new Redis(url);
      const refused = (await redis.call('ACL', 'LOG')) as unknown[];
      const clients = String(await redis.client('LIST'));
      redis.disconnect();
      expect(refused).toEqual([]);
      expect(clients).toMatch(/ user=mill /);
    }
  };

  it('as a user with only the documented permissions, and Bull Board works', async () => {
    const server = await start([], `user mill on >p%ss ~test-* &test-* ${(await permissions()).line}\n`);
    const stack = await runBatch(server.url, `rediss://mill:p%25ss@127.0.0.1:${server.tlsPort}`);
    const board = await fetch(`${stack.api.url}/admin/queues/api/queues`);
    expect(board.status).toBe(200);
    await expectNothingRefused([server.url]);
  });

  it.runIf(inLongForm)('on the master that a sentinel names', async () => {
    const master = await start([]);
    const sentinel = await start(['--sentinel'], `sentinel monitor main 127.0.0.1 ${master.tlsPort} 1\n`);
    await runBatch(master.url, `rediss+sentinel://127.0.0.1:${sentinel.tlsPort}/main`);
  });

  it.runIf(inLongForm)('on a cluster, as a user with only the documented permissions', async () => {
    const { line, onCluster } = await permissions();
    const user = `--user mill on >p%ss ~test-* &test-* ${line} ${onCluster}`;
    const cluster = await startLocalCluster({ certificate, redisArguments: user.split(' ') });
    running.push(cluster);
    await runBatch(cluster.url, cluster.tlsUrl.replace('://', '://mill:p%25ss@'));
    await expectNothingRefused(cluster.nodes.map(({ url }) => url));
  });
});
