import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { freePort } from '../support/free-port.ts';
import { createRedisServer } from '../support/local-redis.ts';
import { type Stack, startStack } from '../support/stack.ts';

/** What the README says a user needs. */
const permissions = async (): Promise<string> => {
  const readme = await readFile(join(import.meta.dirname, '../../README.md'), 'utf8');
  const line = /^user promptmill on >\S+ ~pm:\* &pm:\* (.*)$/m.exec(readme)?.[1];
  if (line === undefined) throw new Error('README.md has no line for an ACL user');
  return line;
};

describe('over TLS, as a user who may do no more than it takes', () => {
  let redisUrl: string;
  let stack: Stack;

  beforeAll(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'promptmill-test-tls-'));
    const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')];
    const subject = '-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=redis -addext subjectAltName=IP:127.0.0.1';
    await promisify(execFile)('openssl', ['req', ...subject.split(' '), '-keyout', key, '-out', certificate]);
    const tlsPort = await freePort();
    const server = await createRedisServer(
      `--tls-port ${tlsPort} --tls-cert-file ${certificate} --tls-key-file ${key} --tls-auth-clients no`.split(' '),
      `user mill on >p%ss ~test-* &test-* ${await permissions()}\n`,
    );
    await server.start();
    redisUrl = server.url;
    stack = await startStack({
      redisUrl,
      redisUrlOf: () => `rediss://mill:p%25ss@127.0.0.1:${tlsPort}`,
      env: { NODE_EXTRA_CA_CERTS: certificate },
    });
    return async () => {
      await stack.stop();
      await server.stop();
      await rm(directory, { recursive: true });
    };
  });

  it('a batch runs, and the board shows it', async () => {
    const input = inputOf(200);
    const { id } = await createBatch(stack.client, input);
    await checkBatch(stack, await untilBatch(stack.client, id), input);
    const board = await fetch(`${stack.api.url}/admin/queues/api/queues`);
    expect(board.status).toBe(200);
    const redis = new Redis(redisUrl);
    const refused = (await redis.call('ACL', 'LOG')) as unknown[];
    const clients = String(await redis.client('LIST'));
    redis.disconnect();
    expect(refused).toEqual([]);
    expect(clients).toMatch(/ user=mill /);
  });
});
