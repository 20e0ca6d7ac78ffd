import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { checkHistory } from '../support/check-history.ts';
import { type ComposeStack, type Container, findCompose, serviceOf, startComposeStack } from './compose-stack.ts';

const buildTimeoutMs = 600_000;
const requests = 600;
const workers = 3;

const command = findCompose();
if (!command) console.warn('tests/compose is skipped: Docker or docker-compose does not answer');

describe.skipIf(!command)('docker-compose', () => {
  let stack: ComposeStack;

  beforeAll(async () => {
    stack = await startComposeStack(command ?? [], {
      workers,
      // With few calls in flight for each worker, none can take the whole batch before the others have begun.
      env: { WORKER_CONCURRENCY: '4', SIMULATOR_LATENCY_MS: '75' },
    });
  }, buildTimeoutMs);

  afterAll(async () => {
    await stack?.down();
  }, buildTimeoutMs);

  const callsOf = async (worker: Container): Promise<number> => {
    const script = 'fetch(`http://127.0.0.1:${process.env.PORT}/metrics`).then((r) => r.text()).then(console.log)';
    const metrics = await stack.exec(worker, 'node', '-e', script);
    const counts = metrics.matchAll(/^promptmill_calls_total\{.*class="success".*\} (\d+)$/gm);
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
  };

  test('a batch runs on all three workers, and each request exactly once', async () => {
    const input = inputOf(requests);
    const batch = await untilBatch(stack.client, (await createBatch(stack.client, input)).id);
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: requests, completed: requests } });

    const output = await (await stack.client.files.content(batch.output_file_id ?? '')).text();
    const called = async (): Promise<number> => (await stack.calls()).length;
    await expect.poll(called, { timeout: 20_000 }).toBeGreaterThanOrEqual(requests);
    checkHistory({ input, output, errors: undefined, batch, calls: await stack.calls() });

    const counts = await Promise.all((await stack.containers('worker')).map(callsOf));
    expect(counts).toHaveLength(workers);
    expect(Math.min(...counts)).toBeGreaterThan(0);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(requests);
  });

  test('no container runs as root, writes to its image, gains a privilege or takes more than its share', async () => {
    const containers = await stack.containers();
    expect(containers).toHaveLength(workers + 4);
    const facts = await Promise.all(
      containers.map(async (container) => {
        const { ReadonlyRootfs, CapDrop, SecurityOpt, Privileged, Memory, PidsLimit } = container.HostConfig;
        const isBounded = Memory > 0 && (PidsLimit ?? 0) > 0;
        const isRoot = (await stack.exec(container, 'id', '-u')).trim() === '0';
        return [container.Name, { isRoot, isBounded, ReadonlyRootfs, CapDrop, SecurityOpt, Privileged }];
      }),
    );
    const hardened = {
      isRoot: false,
      isBounded: true,
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges:true'],
      Privileged: false,
    };
    expect(facts).toEqual(containers.map(({ Name }) => [Name, hardened]));
  });

  test('only the api is published, and only on this machine', async () => {
    const published = (await stack.containers()).flatMap((container) =>
      Object.values(container.NetworkSettings.Ports)
        .flatMap((ports) => ports ?? [])
        .map(({ HostIp }) => `${serviceOf(container)} on ${HostIp}`),
    );
    expect(published).toEqual(['api on 127.0.0.1']);
  });

  test('the first start makes secrets that only their readers get, and the next keeps them', async () => {
    const made = await stack.secrets();
    expect(made).toEqual({
      PROMPTMILL_API_KEYS: expect.stringMatching(/^local:pm-[0-9a-f]{48}$/) as string,
      BOARD_USER: 'promptmill',
      BOARD_PASSWORD: expect.stringMatching(/^[0-9a-f]{48}$/) as string,
      REDIS_URL: expect.stringMatching(/^redis:\/\/promptmill:[0-9a-f]{48}@redis:6379$/) as string,
    });
    const [api] = await stack.containers('api');
    const [worker] = await stack.containers('worker');
    if (!api || !worker) throw new Error('no api or no worker');
    expect(await stack.exec(api, 'stat', '-c', '%a', '/secrets/api/api.env', '/secrets/roles/redis.env')).toBe(
      '600\n600\n',
    );
    await expect(stack.exec(worker, 'cat', '/secrets/api/api.env')).rejects.toThrow('No such file');
    const secrets = [made['BOARD_PASSWORD'], made['PROMPTMILL_API_KEYS']?.slice(6), made['REDIS_URL']?.slice(19, 67)];
    const shown = (await stack.compose('logs')) + JSON.stringify(await stack.containers());
    for (const secret of secrets) expect(shown.includes(secret ?? '')).toBe(false);
    expect(shown).toContain('docker-compose exec api cat /secrets/api/api.env');

    await stack.compose('up', '-d', 'init');
    expect(await stack.secrets()).toEqual(made);
  });

  test('nobody gets in without them', async () => {
    const status = async (route: string): Promise<number> => (await fetch(`${stack.url}${route}`)).status;
    expect(await Promise.all([status('/v1/batches'), status('/admin/queues')])).toEqual([401, 401]);
    const [redis] = await stack.containers('redis');
    if (!redis) throw new Error('no Redis');
    expect(await stack.exec(redis, 'redis-cli', 'get', 'pm')).toContain('NOAUTH');
    const asHealth = ['redis-cli', '--no-auth-warning', '--user', 'health', '--pass', 'none'];
    expect(await stack.exec(redis, ...asHealth, 'get', 'pm')).toContain('NOPERM');
  });

  test('Redis has the documented users, and no way out', async () => {
    const [redis] = await stack.containers('redis');
    if (!redis) throw new Error('no Redis');
    const users = await stack.exec(redis, 'cat', '/secrets/redis/users.acl');
    const page = await readFile('docs/operations.md', 'utf8');
    const permissions = /^user promptmill on >\S+ (~pm.*)$/m.exec(page)?.[1];
    expect(permissions).toBeDefined();
    expect(/^user promptmill on #[0-9a-f]{64} (.*)$/m.exec(users)?.[1]).toBe(permissions);
    expect(Object.keys(redis.NetworkSettings.Networks)).toEqual([expect.stringMatching(/queue$/)]);
    const beside = (await stack.containers()).filter(({ NetworkSettings }) =>
      Object.keys(NetworkSettings.Networks).some((name) => name.endsWith('queue')),
    );
    expect(new Set(beside.map(serviceOf))).toEqual(new Set(['redis', 'api', 'worker', 'collector']));
  });

  // This test is the last, since it leaves the stack without workers.
  test('a worker that is stopped ends by itself', async () => {
    await stack.compose('stop', 'worker');
    const exitCodes = (await stack.containers('worker')).map(({ State }) => State.ExitCode);
    expect(exitCodes).toEqual([0, 0, 0]);
  });
});
