import { Readable } from 'node:stream';
import { type Batch, fileKey, noCost, noUsage, type Outcome, promptToLine, resultLine } from '@promptmill/core';
import { type FileStore, FileStoreError } from '@promptmill/files';
import { expect, test } from 'vitest';
import { type RetryChoice, retryLines } from './retry-lines.ts';

const batch: Batch = {
  id: 'batch_1',
  tenant: 'acme',
  endpoint: '/v1/chat/completions',
  inputFileId: 'file-in',
  completionWindow: '24h',
  status: 'completed',
  metadata: null,
  errors: [],
  outputFileId: 'file-out',
  errorFileId: 'file-err',
  outputPublished: true,
  errorPublished: true,
  createdAt: 0,
  expiresAt: 86_400,
  total: 6,
  completed: 1,
  failed: 5,
  usage: noUsage,
  cost: noCost,
};

const inputLine = (i: number): string => promptToLine(`Say ${i}`, i, { model: 'simulator/echo' });
const lost = (code: string): Outcome => ({ kind: 'error', code, message: 'It was not answered.' });
const refused = (statusCode: number, error: unknown): Outcome => ({
  kind: 'response',
  statusCode,
  requestId: 'req_1',
  json: JSON.stringify({ error }),
});

/** How each of six requests ended; the third was answered. */
const failures: readonly (Outcome | undefined)[] = [
  lost('request_timeout'),
  refused(503, { code: 'overloaded', type: 'server_error' }),
  undefined,
  lost('batch_expired'),
  refused(429, { code: 1302, type: null }),
  refused(400, 'a text and no object'),
];
const errorFile = failures
  .map(
    (failure, i) =>
      failure && `${resultLine({ batchId: batch.id, index: i, customId: `request-${i + 1}` }, failure)}\n`,
  )
  .filter((line) => line !== undefined)
  .join('');
/** With the blank lines, line endings and missing last one that people's files have. */
const inputFile = failures
  .map((_, i) => inputLine(i + 1) + (i % 2 ? '\r\n\n' : '\n'))
  .join('')
  .trimEnd();

/** A store of these files, which come a few bytes at a time, and the streams it gave out. */
const storeOf = (content: Readonly<Record<string, string>>, chunkBytes = 50) => {
  const opened: Readable[] = [];
  const get = async (key: string): Promise<Readable> => {
    const bytes = Buffer.from(content[key] ?? '');
    if (bytes.length === 0) throw new FileStoreError('not_found', key);
    const count = Math.ceil(bytes.length / chunkBytes);
    const chunks = Array.from({ length: count }, (_, i) => bytes.subarray(i * chunkBytes, (i + 1) * chunkBytes));
    const stream = Readable.from(chunks);
    opened.push(stream);
    return stream;
  };
  return { files: { get } as unknown as FileStore, opened };
};
const whole = { [fileKey('file-in')]: inputFile, [fileKey('file-err')]: errorFile };

const chosen = async (choice: RetryChoice, of = batch, content: Readonly<Record<string, string>> = whole) => {
  const { files, opened } = storeOf(content);
  try {
    return Buffer.concat(await Array.fromAsync(retryLines(files, of, choice))).toString();
  } finally {
    expect(opened.filter(({ destroyed }) => !destroyed)).toEqual([]);
  }
};
const linesOf = (...numbers: number[]): string => numbers.map((i) => `${inputLine(i)}\n`).join('');

test('chooses all that failed, in input order and byte for byte', async () => {
  expect(await chosen({})).toBe(linesOf(1, 2, 4, 5, 6));
});

test.each([
  [['request_timeout'], [1]],
  [['503'], [2]],
  [
    ['overloaded', 'batch_expired'],
    [2, 4],
  ],
  [['server_error'], [2]],
  [['1302'], [5]],
  [
    ['429', '400'],
    [5, 6],
  ],
])('those that failed with %j', async (errorCodes, numbers) => {
  expect(await chosen({ errorCodes })).toBe(linesOf(...numbers));
});

test('chooses named requests, failed or not, without the error file', async () => {
  const input = { [fileKey('file-in')]: inputFile };
  expect(await chosen({ customIds: ['request-6', 'request-3'] }, batch, input)).toBe(linesOf(3, 6));
});

test('chooses named requests and those that failed with the given codes', async () => {
  expect(await chosen({ customIds: ['request-3', 'request-4'], errorCodes: ['batch_expired', '503'] })).toBe(
    linesOf(2, 3, 4),
  );
});

const unknown = Array.from({ length: 25 }, (_, i) => `other-${i}`);

test.each([
  ['names the ids that are not there', { customIds: ['request-1', 'x', 'y'] }, "This batch has no request 'x', 'y'."],
  ['counts those beyond twenty', { customIds: unknown }, "'other-18', 'other-19' and 5 more."],
  ['says that nothing failed so', { errorCodes: ['504'] }, "No request of this batch failed with '504'."],
])('%s', async (_, choice, message) => {
  await expect(chosen(choice)).rejects.toMatchObject({ status: 400, message: expect.stringContaining(message) });
});

test('says that nothing failed', async () => {
  await expect(chosen({}, { ...batch, errorPublished: false })).rejects.toMatchObject({
    status: 400,
    code: 'nothing_to_retry',
    message: 'No request of this batch failed.',
  });
});

test.each(['file-in', 'file-err'])('says that %s is gone', async (id) => {
  await expect(chosen({}, batch, { ...whole, [fileKey(id)]: '' })).rejects.toMatchObject({
    status: 400,
    code: 'file_not_found',
    message: expect.stringContaining(`${id} of this batch is gone`),
  });
});
