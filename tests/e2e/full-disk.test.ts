import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BatchObject } from '@promptmill/core';
import type { Batch } from 'openai/resources/batches';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { mayMount, mountSmallDisk, type SmallDisk } from '../support/small-disk.ts';
import { type Stack, startStack } from '../support/stack.ts';

/** The input, the segments and the output have about 1.3 MiB each. */
const input = inputOf(400, (index) => `Say ${index} ${'x'.repeat(3000)}`);
const inputKib = Math.ceil(input.length / 1024);

const blockedOf = (batch: Batch): BatchObject['promptmill']['blocked'] =>
  (batch as unknown as BatchObject).promptmill.blocked;

describe.runIf(mayMount())('the disk of the file store (runs where tmpfs may be mounted)', () => {
  let disk: SmallDisk;
  let stack: Stack;

  beforeAll(async () => {
    disk = await mountSmallDisk(16 * 1024);
    return () => disk.unmount();
  });
  beforeAll(async () => {
    stack = await startStack({ redisUrl: inject('redisUrl'), env: { PROMPTMILL_DATA_DIR: disk.directory } });
    return () => stack.stop();
  });

  const untilBlocked = (id: string, code: string): Promise<Batch> =>
    untilBatch(stack.client, id, (batch) => blockedOf(batch)?.code === code);

  /** The progress that Bull Board shows of a batch's job. */
  const progressOnBoard = async (id: string): Promise<unknown> => {
    const answer = await fetch(`${stack.api.url}/admin/queues/api/queues/batches/${id}`);
    return ((await answer.json()) as { job: { progress: unknown } }).job.progress;
  };

  /** The names of files that are neither the input nor segments. */
  const written = async (inputFileId: string): Promise<string[]> =>
    (await readdir(join(disk.directory, 'store/files'))).filter((name) => name !== inputFileId);

  const linesOfLog = async (text: string): Promise<string[]> =>
    (await readFile(join(stack.directory, 'collector-3.log'), 'utf8'))
      .split('\n')
      .filter((line) => line.includes(text));

  it('holds up the output file while it is full or read-only or a segment is torn, and shows why', async () => {
    await disk.fill(2.5 * inputKib);
    const { id, input_file_id: inputFileId } = await createBatch(stack.client, input);

    const full = await untilBlocked(id, 'no_space');
    expect(full).toMatchObject({
      status: 'finalizing',
      output_file_id: null,
      request_counts: { total: 400, completed: 400, failed: 0 },
    });
    expect(JSON.stringify(blockedOf(full))).not.toContain(disk.directory);
    expect(await written(inputFileId)).toEqual([]);

    await expect
      .poll(() => progressOnBoard(id), { timeout: 10_000 })
      .toMatchObject({
        progress: 99,
        blocked: expect.stringMatching(/^no_space: /),
      });

    await disk.setReadOnly(true);
    await untilBlocked(id, 'read_only');
    await disk.setReadOnly(false);
    await untilBlocked(id, 'no_space');

    const segments = join(disk.directory, 'store/segments', id);
    const [segment = ''] = await readdir(segments);
    const content = await readFile(join(segments, segment), 'utf8');
    // The cut is between two lines, so each line that is left is valid.
    await writeFile(join(segments, segment), content.slice(0, content.lastIndexOf('\n', content.length - 2) + 1));
    await disk.free();
    expect(blockedOf(await untilBlocked(id, 'torn_segment'))?.message).toContain(segment);
    expect(await written(inputFileId)).toEqual([]);

    await writeFile(join(segments, segment), content);
    const batch = await untilBatch(stack.client, id);
    expect(batch.status).toBe('completed');
    expect(blockedOf(batch)).toBeNull();
    await checkBatch(stack, batch, input);
    // Each reason is logged once, however many attempts fail.
    expect(await linesOfLog('batch waits for its files')).toHaveLength(4);
  });

  it('leaves results in Redis while it is full, and takes them when there is room', async () => {
    const uploaded = await stack.client.files.create({ file: new File([input], 'input.jsonl'), purpose: 'batch' });
    await disk.fill(64);
    const { id } = await stack.client.batches.create({
      input_file_id: uploaded.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    });
    await untilBlocked(id, 'no_space');
    const waiting = await untilBatch(stack.client, id, ({ request_counts: counts }) => counts?.completed === 400);
    expect(waiting.status).toBe('in_progress');

    await disk.free();
    const batch = await untilBatch(stack.client, id);
    expect(batch.status).toBe('completed');
    await checkBatch(stack, batch, input);
  });
});
