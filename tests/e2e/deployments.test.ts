import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CallLogEntry, type Simulator, startSimulator } from '@promptmill/simulator';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { freePort } from '../support/free-port.ts';
import { type Stack, startStack } from '../support/stack.ts';

interface Deployment {
  readonly id: string;
  readonly held_until: number | null;
}

describe('a model at two deployments', () => {
  let stack: Stack;
  let west: Simulator;
  let port: number;

  const startWest = () =>
    startSimulator({
      port,
      latency: { kind: 'fixed', ms: 100 },
      limits: { maxInFlight: 6 },
      callLogPath: join(stack.directory, 'west.jsonl'),
    });

  beforeAll(async () => {
    port = await freePort();
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      workers: 2,
      env: { SIMULATOR_LATENCY_MS: '300', SIMULATOR_MAX_IN_FLIGHT: '4' },
      files: {
        'promptmill.yaml': `
providers:
  simulator:
    models:
      echo:
        deployments:
          east: { concurrency: 4 }
          west: { baseUrl: 'http://127.0.0.1:${port}/v1', concurrency: 6, model: echo-west }
`,
      },
    });
    west = await startWest();
  });
  afterAll(async () => {
    await stack.stop();
    await west.close();
  });

  const heldDeployments = async (): Promise<string[]> => {
    const answer = await fetch(`${stack.api.url}/v1/lanes`);
    const { data } = (await answer.json()) as { data: { id: string; deployments: Deployment[] }[] };
    const { deployments = [] } = data.find(({ id }) => id === 'simulator.echo') ?? {};
    return deployments.filter(({ held_until: heldUntil }) => heldUntil !== null).map(({ id }) => id);
  };

  it('is called at both, by the room that each has, and at one while the other is away', async () => {
    const count = 160;
    const { id } = await createBatch(stack.client, inputOf(count));
    await expect.poll(() => west.stats().calls, { timeout: 20_000, interval: 20 }).toBeGreaterThan(30);
    expect((await stack.stats()).calls).toBeGreaterThan(3);

    await west.close();
    await expect.poll(heldDeployments, { timeout: 20_000, interval: 50 }).toEqual(['simulator.echo@west']);
    const callsBefore = (await stack.stats()).calls;
    await expect.poll(async () => (await stack.stats()).calls, { timeout: 20_000 }).toBeGreaterThan(callsBefore + 3);
    west = await startWest();
    await expect.poll(() => west.stats().calls, { timeout: 20_000, interval: 20 }).toBeGreaterThan(10);

    const batch = await untilBatch(stack.client, id);
    expect(batch.request_counts).toEqual({ total: count, completed: count, failed: 0 });
    const output = await (await stack.client.files.content(batch.output_file_id ?? '')).text();
    const ids = output
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { custom_id: string }).custom_id);
    expect(ids).toEqual(Array.from({ length: count }, (_, i) => `request-${i}`));
    const refused = { east: await stack.calls(), west: await callsOfWest() };
    expect(Object.values(refused).flatMap((calls) => calls.filter(({ status }) => status === 429))).toEqual([]);
    expect(new Set(refused.west.map(({ model }) => model))).toEqual(new Set(['echo-west']));
  });

  const callsOfWest = async (): Promise<CallLogEntry[]> => {
    const lines = (await readFile(join(stack.directory, 'west.jsonl'), 'utf8')).trimEnd().split('\n');
    return lines.map((line) => JSON.parse(line) as CallLogEntry);
  };
});
