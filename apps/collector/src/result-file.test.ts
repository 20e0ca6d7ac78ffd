import { setImmediate } from 'node:timers/promises';
import type { FileStore } from '@promptmill/files';
import { expect, test } from 'vitest';
import { openResultFile } from './result-file.ts';

type Put = FileStore['put'];

/** A store of which only `put` is used. */
const storeWith = (put: Put): FileStore => ({ put }) as FileStore;

const refusal = new Error('the disk is full');
const manyCharacters = 'x'.repeat(400_000);

/** Keeps a file once it has all of it. */
const createKeeper = () => {
  const kept = new Map<string, string>();
  const put: Put = async (key, source) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of source as AsyncIterable<Uint8Array>) chunks.push(Buffer.from(chunk));
    const bytes = Buffer.concat(chunks);
    kept.set(key, bytes.toString());
    return { bytes: bytes.length };
  };
  return { kept, put };
};

test('lines come out as they went in, each with its ending', async () => {
  const { kept, put } = createKeeper();
  const file = openResultFile(storeWith(put), 'files/a');
  const lines = ['{"a":1}', `{"é":"${manyCharacters}"}`, '{"b":2}'];
  await file.write(lines.map((line) => Buffer.from(line)));
  expect(await file.finish()).toEqual({ lines: 3, bytes: Buffer.byteLength(kept.get('files/a') ?? '') });
  expect(kept.get('files/a')).toBe(lines.map((line) => `${line}\n`).join(''));
});

test('without a line there is no file', async () => {
  const { kept, put } = createKeeper();
  const file = openResultFile(storeWith(put), 'files/a');
  expect(await file.finish()).toEqual({ lines: 0, bytes: 0 });
  await file.abort(refusal);
  expect(kept.size).toBe(0);
});

test('an aborted file is not kept', async () => {
  const { kept, put } = createKeeper();
  const file = openResultFile(storeWith(put), 'files/a');
  await file.write([Buffer.from(manyCharacters)]);
  await file.abort(refusal);
  expect(kept.size).toBe(0);
});

const failures: [string, Put][] = [
  ['before it reads', async () => Promise.reject(refusal)],
  [
    'before it reads, a little later',
    async () => {
      await setImmediate();
      throw refusal;
    },
  ],
  [
    'in the middle',
    async (_, source) => {
      for await (const chunk of source as AsyncIterable<Uint8Array>) if (chunk.length > 0) throw refusal;
      return { bytes: 0 };
    },
  ],
];

test.each(failures)('a store that fails %s fails the write or the finish, and nothing else', async (_, put) => {
  const file = openResultFile(storeWith(put), 'files/a');
  const writing = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await file.write([Buffer.from(manyCharacters)]);
    await file.finish();
  };
  await expect(writing()).rejects.toBe(refusal);
  await file.abort(refusal);
});

test('an abort while the store is still opening the file is no uncaught error, and keeps nothing', async () => {
  const { kept, put } = createKeeper();
  const slow: Put = async (...file) => {
    await setImmediate();
    return put(...file);
  };
  const file = openResultFile(storeWith(slow), 'files/a');
  await file.write([Buffer.from(manyCharacters)]);
  await file.abort(refusal);
  expect(kept.size).toBe(0);
});
