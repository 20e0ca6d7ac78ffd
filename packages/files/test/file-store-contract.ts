import { createHash } from 'node:crypto';
import { buffer, text } from 'node:stream/consumers';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startMemoryMeter } from '../../../tests/support/live-memory.ts';
import type { FileStore } from '../src/index.ts';

export interface StoreUnderTest {
  store: FileStore;
  /** How many unfinished puts have left something, such as temporary files. */
  countLeftovers(): Promise<number>;
  close(): Promise<void>;
}

const megabyte = 1024 * 1024;

/** Tests what every FileStore promises. `makeStore` gives an empty store. */
export function describeFileStoreContract(name: string, makeStore: () => Promise<StoreUnderTest>): void {
  describe(`${name} as a file store`, () => {
    let made: StoreUnderTest;
    let store: FileStore;
    beforeEach(async () => {
      made = await makeStore();
      ({ store } = made);
    });
    afterEach(() => made.close());

    const read = async (key: string) => await text(await store.get(key));
    const keysIn = async (prefix: string) => (await collect(store.list(prefix))).map(({ key }) => key).toSorted();

    describe('round trip', () => {
      test.each([
        ['a string', () => 'grüße\n', 'grüße\n'],
        ['one byte', () => new Uint8Array([103]), 'g'],
        ['no bytes', () => new Uint8Array(), ''],
        ['an empty stream', () => chunks(), ''],
        ['a stream', () => chunks('a', '', 'bc'), 'abc'],
      ])('%s', async (_, source, content) => {
        const bytes = Buffer.byteLength(content);
        expect(await store.put('dir/file', source())).toEqual({ bytes });
        expect(await store.size('dir/file')).toBe(bytes);
        expect(await read('dir/file')).toBe(content);
      });

      test('chunks of any size arrive in order', async () => {
        const content = Buffer.from(
          Array.from({ length: 3 * megabyte }, (_, index) => (index * 31 + (index >> 8)) % 251),
        );
        const sizes = [1, 300_000, 7, 262_144, 262_143, 2, 1_000_000, 65_536];
        async function* parts() {
          let at = 0;
          for (let i = 0; at < content.length; i += 1) {
            const size = sizes[i % sizes.length] ?? 1;
            yield content.subarray(at, at + size);
            at += size;
          }
        }
        await store.put('mixed', parts());
        expect(content.equals(await buffer(await store.get('mixed')))).toBe(true);
      });

      test('80 MB pass through in flat memory', async () => {
        const pass = async (megabytes: number, sample = (): void => {}): Promise<void> => {
          let chunks = 0;
          const sampleNowAndThen = (): void => {
            chunks += 1;
            if (chunks % 80 === 0) sample();
          };
          const sent = createHash('sha256');
          // The source yields one chunk again and again, so that it leaves no garbage itself.
          const chunk = Buffer.alloc(64 * 1024, 'promptmill');
          async function* source() {
            for (let index = 0; index < megabytes * 16; index += 1) {
              chunk.writeUInt32LE(index);
              sent.update(chunk);
              yield chunk;
              sampleNowAndThen();
            }
          }
          expect(await store.put('large', source())).toEqual({ bytes: megabytes * megabyte });

          const received = createHash('sha256');
          for await (const part of await store.get('large')) {
            received.update(part as Buffer);
            sampleNowAndThen();
          }
          expect(received.digest('hex')).toBe(sent.digest('hex'));
        };
        // The first file also costs what is done once, such as loading and compiling code.
        await pass(20);
        const memory = startMemoryMeter();
        await pass(80, () => memory.sample());
        expect(memory.growthBytes()).toBeLessThan(40 * megabyte);
      });
    });

    describe('ranges', () => {
      test.each([
        [{}, '0123456789'],
        [{ start: 4 }, '456789'],
        [{ end: 4 }, '0123'],
        [{ start: 2, end: 5 }, '234'],
        [{ start: 9, end: 10 }, '9'],
        [{ start: 3, end: 3 }, ''],
        [{ end: 0 }, ''],
        [{ start: 8, end: 100 }, '89'],
        [{ start: 10 }, ''],
        [{ start: 50, end: 60 }, ''],
      ])('%j', async (range, expected) => {
        await store.put('digits', '0123456789');
        expect(await text(await store.get('digits', range))).toBe(expected);
      });

      test('a range that is not valid is refused', async () => {
        await store.put('digits', '0123456789');
        await expect(store.get('digits', { start: 5, end: 4 })).rejects.toMatchObject({ code: 'invalid_range' });
        await expect(store.get('digits', { start: -1 })).rejects.toMatchObject({ code: 'invalid_range' });
      });
    });

    describe('publishing', () => {
      test('nothing of a file is visible before its last byte, then all of it', async () => {
        const source = gatedSource();
        const done = store.put('dir/slow', source.chunks);
        await source.firstChunkTaken;
        expect(await store.size('dir/slow')).toBeUndefined();
        await expect(store.get('dir/slow')).rejects.toMatchObject({ code: 'not_found' });
        expect(await keysIn('')).toEqual([]);
        source.finish();
        await done;
        expect(await read('dir/slow')).toBe('first last');
        expect(await made.countLeftovers()).toBe(0);
      });

      test('a reader gets the old bytes while the file is replaced and deleted', async () => {
        const old = Buffer.alloc(3 * megabyte, 'old');
        await store.put('file', old);
        const replaced = await store.get('file');
        await store.put('file', 'new');
        const deleted = await store.get('file');
        await store.delete('file');
        expect(old.equals(await buffer(replaced))).toBe(true);
        expect(await text(deleted)).toBe('new');
      });

      test('one of several puts to one key at once wins, whole', async () => {
        const contents = Array.from({ length: 8 }, (_, index) => String(index).repeat(400_000));
        await Promise.all(contents.map((content) => store.put('raced', chunks(content.slice(0, 9), content.slice(9)))));
        expect(contents).toContain(await read('raced'));
        expect(await keysIn('')).toEqual(['raced']);
        expect(await made.countLeftovers()).toBe(0);
      });

      test('a source that throws half-way leaves nothing, and the put rejects with its error', async () => {
        const failure = Object.assign(new Error('upload broke'), { code: 'ENOSPC' });
        await expect(store.put('dir/broken', failingSource(failure))).rejects.toBe(failure);
        expect(await keysIn('')).toEqual([]);
        expect(await made.countLeftovers()).toBe(0);
      });

      test('a failed put leaves the old file', async () => {
        await store.put('file', 'before');
        await expect(store.put('file', failingSource(new Error('upload broke')))).rejects.toThrow('upload broke');
        expect(await read('file')).toBe('before');
      });
    });

    describe('abort', () => {
      test('ends a put whose source hangs, and leaves nothing', async () => {
        const source = gatedSource();
        const controller = new AbortController();
        const done = store.put('dir/aborted', source.chunks, { signal: controller.signal });
        await source.firstChunkTaken;
        const reason = new Error('client went away');
        controller.abort(reason);
        await expect(done).rejects.toBe(reason);
        expect(await keysIn('')).toEqual([]);
        expect(await made.countLeftovers()).toBe(0);
        source.finish();
        await source.returned;
      });

      test('beforehand, takes nothing from the source', async () => {
        let taken = false;
        async function* source() {
          taken = true;
          yield Buffer.from('x');
        }
        await expect(store.put('file', source(), { signal: AbortSignal.abort() })).rejects.toThrow('abort');
        expect(taken).toBe(false);
      });

      test('afterwards, changes nothing', async () => {
        const controller = new AbortController();
        await store.put('file', chunks('kept'), { signal: controller.signal });
        controller.abort();
        expect(await read('file')).toBe('kept');
      });
    });

    describe('list and delete', () => {
      beforeEach(async () => {
        const keys = ['a/1', 'a/2', 'a/b/3', 'ab/4', 'a.5'];
        await Promise.all(keys.map((key, index) => store.put(key, 'x'.repeat(index))));
      });

      test('a prefix lists its folder and the folders below', async () => {
        expect(await keysIn('a/')).toEqual(['a/1', 'a/2', 'a/b/3']);
        expect(await keysIn('a/b/')).toEqual(['a/b/3']);
        expect(await keysIn('none/')).toEqual([]);
        expect(await keysIn('a/1/')).toEqual([]);
        expect(await collect(store.list('ab/'))).toEqual([{ key: 'ab/4', bytes: 3 }]);
        expect(await keysIn('')).toEqual(['a.5', 'a/1', 'a/2', 'a/b/3', 'ab/4']);
      });

      test('deletePrefix takes exactly that folder', async () => {
        await store.deletePrefix('a/');
        expect(await keysIn('')).toEqual(['a.5', 'ab/4']);
        expect(await made.countLeftovers()).toBe(0);
        await store.put('a/1', 'again');
        expect(await read('a/1')).toBe('again');
      });

      test('deletePrefix of nothing, or of a file, deletes nothing', async () => {
        await store.deletePrefix('none/');
        await store.deletePrefix('a.5/');
        expect(await keysIn('')).toHaveLength(5);
        await expect(store.deletePrefix('')).rejects.toMatchObject({ code: 'invalid_key' });
      });

      test('delete returns whether there was a file', async () => {
        expect(await store.delete('a/1')).toBe(true);
        expect(await store.delete('a/1')).toBe(false);
        expect(await store.delete('none/at/all')).toBe(false);
        expect(await store.delete('a/b')).toBe(false);
        expect(await keysIn('a/')).toEqual(['a/2', 'a/b/3']);
      });

      test('puts succeed while deletePrefix deletes their folder', async () => {
        const puts = Array.from({ length: 40 }, (_, index) => store.put(`a/new/${index}`, 'whole'));
        const deletes = Array.from({ length: 3 }, () => store.deletePrefix('a/'));
        await Promise.all([...puts, ...deletes]);
        for (const key of await keysIn('a/new/')) expect(await read(key)).toBe('whole');
        expect(await made.countLeftovers()).toBe(0);
      });

      test('removeAbandoned removes no published file', async () => {
        expect(await store.removeAbandoned(0)).toBe(0);
        expect(await keysIn('')).toHaveLength(5);
      });
    });

    describe('keys', () => {
      test.each(['none', 'none/at/all', 'file/below', 'dir'])('%j is not found', async (key) => {
        await store.put('file', 'x');
        await store.put('dir/file', 'x');
        await expect(store.get(key)).rejects.toMatchObject({ name: 'FileStoreError', code: 'not_found' });
        expect(await store.size(key)).toBeUndefined();
      });

      test('an empty store has nothing', async () => {
        expect(await store.size('none')).toBeUndefined();
        expect(await keysIn('')).toEqual([]);
        expect(await store.removeAbandoned(0)).toBe(0);
        await store.deletePrefix('none/');
      });

      test('every method refuses a key that is not valid', async () => {
        const badSegment = fc.oneof(
          fc.constantFrom('', '.', '..', '~', 'tmp~', ' ', '\0', '\\', '%2e'),
          fc.string({ unit: 'grapheme' }).filter((segment) => !/^[\w.-]+$/.test(segment)),
        );
        const badKey = fc
          .tuple(fc.array(segment, { maxLength: 2 }), badSegment, fc.array(segment, { maxLength: 2 }))
          .map(([before, bad, after]) => [...before, bad, ...after].join('/'))
          .filter((key) => !isPlainKey(key));
        const refusal = expect.objectContaining({ name: 'FileStoreError', code: 'invalid_key' });
        await fc.assert(
          fc.asyncProperty(badKey, async (key) => {
            await expect(store.put(key, 'x')).rejects.toEqual(refusal);
            await expect(store.get(key)).rejects.toEqual(refusal);
            await expect(store.size(key)).rejects.toEqual(refusal);
            await expect(store.delete(key)).rejects.toEqual(refusal);
            await expect(store.deletePrefix(`${key}/`)).rejects.toEqual(refusal);
            await expect(keysIn(`${key}/`)).rejects.toEqual(refusal);
          }),
        );
        expect(await keysIn('')).toEqual([]);
      });

      test('any valid keys keep their own bytes', async () => {
        const key = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/'));
        const keys = fc.uniqueArray(key, { minLength: 1, maxLength: 8, selector: (k) => k.toLowerCase() });
        let run = 0;
        await fc.assert(
          fc.asyncProperty(keys.filter(canLieTogether), async (together) => {
            const folder = `run-${run++}/`;
            for (const each of together) await store.put(folder + each, each);
            expect(await keysIn(folder)).toEqual(together.map((each) => folder + each).toSorted());
            for (const each of together) expect(await read(folder + each)).toBe(each);

            const [first = '', ...others] = together;
            expect(await store.delete(folder + first)).toBe(true);
            expect(await keysIn(folder)).toEqual(others.map((each) => folder + each).toSorted());
          }),
          { numRuns: 25 },
        );
      });
    });
  });
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const segment = fc.stringMatching(/^[A-Za-z0-9._-]{1,12}$/).filter((text) => text !== '.' && text !== '..');

/** The rule for keys, written in another way than in the store. */
function isPlainKey(key: string): boolean {
  return key.split('/').every((part) => /^[A-Za-z0-9._-]+$/.test(part) && part !== '.' && part !== '..');
}

function canLieTogether(keys: string[]): boolean {
  const lower = keys.map((key) => key.toLowerCase());
  return !lower.some((folder) => lower.some((key) => key.startsWith(`${folder}/`)));
}

async function* chunks(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

async function* failingSource(failure: Error): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(megabyte, 'x');
  throw failure;
}

/** Yields a first chunk at once, and the last one once `finish` is called. */
function gatedSource() {
  const taken = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const returned = Promise.withResolvers<void>();
  async function* generate(): AsyncGenerator<Uint8Array> {
    try {
      yield Buffer.from('first ');
      taken.resolve();
      await gate.promise;
      yield Buffer.from('last');
    } finally {
      returned.resolve();
    }
  }
  return { chunks: generate(), firstChunkTaken: taken.promise, finish: gate.resolve, returned: returned.promise };
}
