import { readdir } from 'node:fs/promises';
import { APIError, toFile } from 'openai';
import type { Batch } from 'openai/resources/batches';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';
import { type Stack, startStack } from '../support/stack.ts';

const count = 2000;
const half = ({ request_counts: counts }: Batch): boolean => (counts?.completed ?? 0) > count / 3;
const blockedBy = (batch: Batch): string | undefined =>
  (batch as { promptmill?: { blocked?: { code: string } | null } }).promptmill?.blocked?.code;

describe('processes that share nothing but Redis and an S3 store', () => {
  let s3: S3Server;
  let stack: Stack;

  beforeEach(async () => {
    s3 = await startS3Server();
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      collectors: 2,
      ownDataFolders: true,
      env: {
        PROMPTMILL_STORE: `s3://${s3.bucket}/mill`,
        S3_ENDPOINT: s3.endpoint,
        ...s3.credentials,
        WORKER_CONCURRENCY: '20',
        SIMULATOR_LATENCY_MS: '30',
      },
    });
  });
  afterEach(async () => {
    await stack.stop();
    await s3.stop();
  });

  it('lose nothing when a collector is killed, and leave nothing on their disks', async () => {
    const input = inputOf(count);
    const { id } = await createBatch(stack.client, input);
    await untilBatch(stack.client, id, half);
    await stack.collectors[0]?.stop('SIGKILL');
    await checkBatch(stack, await untilBatch(stack.client, id), input);
    expect((await readdir(stack.directory)).filter((name) => name.startsWith('data'))).toEqual([]);
  });

  it('wait while the store is away, and go on by themselves', async () => {
    const input = inputOf(count);
    const { id } = await createBatch(stack.client, input);
    await untilBatch(stack.client, id, half);
    await s3.kill();
    // By then both collectors have tried, and all dispatched requests have their answer.
    await untilBatch(stack.client, id, (batch) => blockedBy(batch) === 'unavailable');
    const refused = stack.client.files.create({ file: await toFile(Buffer.from(input), 'x.jsonl'), purpose: 'batch' });
    await expect(refused).rejects.toThrow(APIError);
    await expect(refused).rejects.toMatchObject({ status: 503, code: 'service_unavailable' });
    await s3.restart();
    const batch = await untilBatch(stack.client, id);
    expect(blockedBy(batch)).toBeUndefined();
    await checkBatch(stack, batch, input);
  });
});
