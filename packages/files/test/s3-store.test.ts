import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openS3Server } from '../../../tests/support/s3-server.ts';
import { startTcpProxy } from '../../../tests/support/tcp-proxy.ts';
import { createS3Store, type S3StoreOptions } from '../src/s3-store.ts';
import { collect, describeFileStoreContract } from './file-store-contract.ts';
import { inLongForm } from '../../../tests/support/long-form.ts';

const megabyte = 1024 * 1024;

let server: Awaited<ReturnType<typeof openS3Server>>;
let client: S3Client;

const newOptions = (more: Partial<S3StoreOptions> = {}): S3StoreOptions => ({
  bucket: server.bucket,
  prefix: `${randomUUID()}/`,
  endpoint: server.endpoint,
  region: 'us-east-1',
  forcePathStyle: true,
  ...more,
});

beforeAll(async () => {
  server = await openS3Server();
  for (const [name, value] of Object.entries(server.credentials)) vi.stubEnv(name, value);
  client = new S3Client(newOptions());
});
afterAll(async () => {
  client.destroy();
  vi.unstubAllEnvs();
  await server.stop();
});

const countUploads = async (prefix: string): Promise<number> => {
  const { Uploads = [] } = await client.send(
    new ListMultipartUploadsCommand({ Bucket: server.bucket, Prefix: prefix }),
  );
  return Uploads.length;
};

describeFileStoreContract('S3', async () => {
  const options = newOptions();
  return {
    store: createS3Store(options),
    countLeftovers: () => countUploads(options.prefix),
    close: async () => {},
  };
});

async function* megabytes(count: number, end: () => void | Promise<void> = () => {}): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index += 1) yield Buffer.alloc(megabyte, index);
  await end();
}

test('a multipart upload that fails is aborted, and leaves the old file', async () => {
  const options = newOptions();
  const store = createS3Store(options);
  await store.put('file', 'before');
  let uploads = 0;
  const failure = new Error('upload broke');
  const broken = megabytes(20, async () => {
    uploads = await countUploads(options.prefix);
    throw failure;
  });
  await expect(store.put('file', broken)).rejects.toBe(failure);

  const reason = new Error('client went away');
  const controller = new AbortController();
  const endless = megabytes(20, () => {
    controller.abort(reason);
    return new Promise<never>(() => {});
  });
  await expect(store.put('file', endless, { signal: controller.signal })).rejects.toBe(reason);

  expect(uploads).toBe(1);
  expect(await countUploads(options.prefix)).toBe(0);
  expect(await text(await store.get('file'))).toBe('before');
});

test('removeAbandoned aborts uploads of killed processes, but none that still gets parts', async () => {
  const options = newOptions();
  await createS3Store(options).put('file', 'kept');
  const upload = { Bucket: options.bucket, Key: `${options.prefix}file` };
  const begun = await client.send(new CreateMultipartUploadCommand(upload));
  // Some servers give times in whole seconds.
  await delay(1100);
  const between = Date.now();
  await delay(1100);
  await client.send(
    new UploadPartCommand({ ...upload, UploadId: begun.UploadId, PartNumber: 1, Body: Buffer.alloc(5 * megabyte) }),
  );

  const store = createS3Store({ ...options, now: () => between });
  expect(await store.removeAbandoned(0)).toBe(0);
  const anHourLater = createS3Store({ ...options, now: () => Date.now() + 3_600_000 });
  expect(await anHourLater.removeAbandoned(60_000)).toBe(1);
  expect(await countUploads(options.prefix)).toBe(0);
  expect(await text(await store.get('file'))).toBe('kept');
});

test.runIf(inLongForm)('more files than fit on a page are listed and deleted', async () => {
  const store = createS3Store(newOptions());
  const keys = Array.from({ length: 1005 }, (_, index) => `many/${index}`);
  for (let at = 0; at < keys.length; at += 50)
    await Promise.all(keys.slice(at, at + 50).map((key) => store.put(key, 'x')));
  expect((await collect(store.list(''))).map(({ key }) => key).toSorted()).toEqual(keys.toSorted());
  await store.deletePrefix('many/');
  expect(await collect(store.list(''))).toEqual([]);
});

test('a reader goes on at the byte where its connection broke', async () => {
  const proxy = await startTcpProxy(server.endpoint);
  const options = newOptions();
  const store = createS3Store({ ...options, endpoint: proxy.url });
  try {
    const content = randomBytes(12 * megabyte);
    await store.put('file', content);
    const stream = await store.get('file', { start: 5 });
    stream.once('data', () => proxy.breakAll());
    expect((await buffer(stream)).equals(content.subarray(5))).toBe(true);

    // The file is larger than all buffers on the way together.
    await store.put('file', randomBytes(40 * megabyte));
    const replaced = await store.get('file');
    replaced.once('data', () => {
      replaced.pause();
      void createS3Store(options)
        .put('file', randomBytes(40 * megabyte))
        .then(() => {
          proxy.breakAll();
          replaced.resume();
        });
    });
    await expect(once(replaced, 'end')).rejects.toMatchObject({
      code: 'unavailable',
      message: 'the file was replaced while it was read',
    });
  } finally {
    await proxy.close();
  }
});

/** Starts an S3 server that answers each request with the status and body that `answer` gives. */
const startAnswering = async (answer: (method: string, url: string) => [status: number, body?: string]) => {
  const asked: string[] = [];
  const answering = createServer((request, response) => {
    const { method = '', url = '' } = request;
    request.resume().once('end', () => {
      asked.push(`${method} ${url}`);
      const [status, body] = answer(method, url);
      response.writeHead(status, { 'content-type': 'application/xml' });
      response.end(status === 204 ? undefined : `<?xml version="1.0"?>${body ?? ''}`);
    });
  }).listen(0, '127.0.0.1');
  await once(answering, 'listening');
  return {
    asked,
    endpoint: `http://127.0.0.1:${(answering.address() as AddressInfo).port}`,
    async close() {
      answering.closeAllConnections();
      answering.close();
      await once(answering, 'close');
    },
  };
};

const errorOf = (code: string): string => `<Error><Code>${code}</Code><Message>no</Message></Error>`;

test.each([
  [403, 'AccessDenied', 'read_only'],
  [403, 'QuotaExceeded', 'no_space'],
  [507, 'InsufficientStorage', 'no_space'],
  [404, 'NoSuchBucket', 'unavailable'],
  [403, 'SignatureDoesNotMatch', 'unavailable'],
])('%i %s is %s', async (status, code, expected) => {
  const answering = await startAnswering(() => [status, errorOf(code)]);
  try {
    const store = createS3Store(newOptions({ endpoint: answering.endpoint }));
    const refusal = {
      name: 'FileStoreError',
      code: expected,
      message: expect.stringContaining(code),
    };
    await expect(store.put('file', 'x')).rejects.toMatchObject(refusal);
    await expect(store.put('file', megabytes(20))).rejects.toMatchObject(refusal);
    await expect(store.get('file')).rejects.toMatchObject(refusal);
    await expect(collect(store.list(''))).rejects.toMatchObject(refusal);
    await expect(store.deletePrefix('a/')).rejects.toMatchObject(refusal);
    await expect(store.removeAbandoned(0)).rejects.toMatchObject(refusal);
  } finally {
    await answering.close();
  }
});

test('a server that cannot be reached is unavailable', async () => {
  const store = createS3Store(newOptions({ endpoint: 'http://127.0.0.1:1' }));
  const refusal = { code: 'unavailable', cause: expect.objectContaining({ code: 'ECONNREFUSED' }) };
  await expect(store.put('file', megabytes(20))).rejects.toMatchObject(refusal);
  await expect(store.size('file')).rejects.toMatchObject(refusal);
});

test('objects are deleted one by one where the server cannot delete many at once', async () => {
  const keys = Array.from({ length: 40 }, (_, index) => `p/many/${index}`);
  const list = `<ListBucketResult>${keys.map((key) => `<Contents><Key>${key}</Key></Contents>`).join('')}</ListBucketResult>`;
  const answering = await startAnswering((method) => {
    if (method === 'GET') return [200, list];
    return method === 'DELETE' ? [204] : [501, errorOf('NotImplemented')];
  });
  try {
    const store = createS3Store(newOptions({ endpoint: answering.endpoint, prefix: 'p/' }));
    await store.deletePrefix('many/');
    const deleted = answering.asked.filter((line) => line.startsWith('DELETE '));
    expect(new Set(deleted.map((line) => line.split('?')[0]))).toEqual(
      new Set(keys.map((key) => `DELETE /${server.bucket}/${key}`)),
    );
  } finally {
    await answering.close();
  }
});
