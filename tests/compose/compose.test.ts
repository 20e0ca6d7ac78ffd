import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { checkHistory } from '../support/check-history.ts';
import { type ComposeStack, type Container, findCompose, startComposeStack } from './compose-stack.ts';

const buildTimeoutMs = 600_000;
const requests = 600;
const workers = 3;

const command = findCompose();
if (!command) console.warn('tests/compose is skipped: Docker or docker-compose does not answer');

const serviceOf = ({ Config }: Container): string => Config.Labels['com.docker.compose.service'] ?? '';

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

  test('no container runs as root, may write to its image or may gain a privilege', async () => {
    const containers = await stack.containers();
    expect(containers).toHaveLength(workers + 4);
    const facts = await Promise.all(
      containers.map(async (container) => {
        const { ReadonlyRootfs, CapDrop, SecurityOpt, Privileged } = container.HostConfig;
        const isRoot = (await stack.exec(container, 'id', '-u')).trim() === '0';
        return [container.Name, { isRoot, ReadonlyRootfs, CapDrop, SecurityOpt, Privileged }];
      }),
    );
    const hardened = {
      isRoot: false,
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

  // This test is the last, since it leaves the stack without workers.
  test('a worker that is stopped ends by itself', async () => {
    await stack.compose('stop', 'worker');
    const exitCodes = (await stack.containers('worker')).map(({ State }) => State.ExitCode);
    expect(exitCodes).toEqual([0, 0, 0]);
  });
});
