import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import S3rver, { type Context, type Stored } from 's3rver';

/**
 * Runs s3rver, and adds what it lacks of S3: an object is visible only once it is whole, and stays whole for a reader;
 * multipart uploads can be listed and aborted; objects may come and go during a listing. s3rver does ranges, pages, the
 * check of the key's id and the XML itself. It accepts any signature.
 */
const [directory = '', port = '', bucket = ''] = process.argv.slice(2);
const staging = join(directory, 'staging');
await mkdir(staging, { recursive: true });
const server = new S3rver({
  address: '127.0.0.1',
  port: Number(port),
  directory: join(directory, 'buckets'),
  silent: true,
  vhostBuckets: false,
  configureBuckets: [{ name: bucket }],
});
const { store } = server;

const isGone = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** Writes `content` to `path` whole, or not at all when it breaks off. */
const receive = async (content: Readable | Buffer, path: string): Promise<Stored> => {
  const staged = join(staging, randomUUID());
  const hash = createHash('md5');
  let size = 0;
  const measure = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  };
  try {
    await pipeline(Buffer.isBuffer(content) ? Readable.from([content]) : content, measure, createWriteStream(staged));
    await mkdir(dirname(path), { recursive: true });
    await rename(staged, path);
  } finally {
    await rm(staged, { force: true });
  }
  return { size, md5: hash.digest('hex') };
};

const uploadsFolder = (ofBucket: string): string => store.getResourcePath(ofBucket, undefined, 'uploads');

store.putObject = async ({ bucket: ofBucket, key, content, metadata }) => {
  const stored = await receive(content, store.getResourcePath(ofBucket, key, 'object'));
  await store.putMetadata(ofBucket, key, metadata, stored.md5);
  return stored;
};

store.putPart = async (ofBucket, uploadId, partNumber, content) => {
  const path = join(uploadsFolder(ofBucket), uploadId, partNumber);
  const stored = await receive(content, path);
  await writeFile(`${path}.md5`, stored.md5);
  return stored;
};

store.deleteObject = async (ofBucket, key) => {
  for (const resource of ['object', 'object.md5', 'metadata.json'])
    await rm(store.getResourcePath(ofBucket, key, resource), { force: true });
};

const getObject = store.getObject.bind(store);
const listObjects = store.listObjects.bind(store);
store.getObject = async (ofBucket, key, range) => {
  const isRange = range?.start !== undefined || range?.end !== undefined;
  const metadata = isRange ? await store.getMetadata(ofBucket, key).catch(() => undefined) : undefined;
  // S3 refuses every range of an empty object.
  return getObject(ofBucket, key, metadata?.['content-length'] === 0 ? { start: 1 } : range);
};
store.listObjects = async (ofBucket, options) => {
  for (;;)
    try {
      return await listObjects(ofBucket, options);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
};

const element = (name: string, content: string | number): string => `<${name}>${content}</${name}>`;

const listUploads = async (ofBucket: string, prefix: string): Promise<string> => {
  const ids = await readdir(uploadsFolder(ofBucket)).catch(() => []);
  const uploads = ids.map(async (id) => {
    const keyPath = join(uploadsFolder(ofBucket), id, 'key');
    const [key, { mtime }] = await Promise.all([readFile(keyPath, 'utf8'), stat(keyPath)]);
    if (!key.startsWith(prefix)) return '';
    const fields = element('Key', key) + element('UploadId', id) + element('Initiated', mtime.toISOString());
    return element('Upload', fields);
  });
  const found = await Promise.all(uploads.map((upload) => upload.catch((error) => (isGone(error) ? '' : error))));
  return element('ListMultipartUploadsResult', element('IsTruncated', 'false') + found.join(''));
};

const listParts = async (folder: string): Promise<string> => {
  const names = (await readdir(folder)).filter((name) => /^\d+$/.test(name));
  const parts = names.map(async (name) => {
    const { size, mtime } = await stat(join(folder, name));
    const fields = element('PartNumber', name) + element('Size', size) + element('LastModified', mtime.toISOString());
    return element('Part', fields);
  });
  // AWS and others send this marker with the last page too.
  const ending = element('IsTruncated', 'false') + element('NextPartNumberMarker', names.length);
  return element('ListPartsResult', ending + (await Promise.all(parts)).join(''));
};

const answer = (context: Context, status: number, xml: string): void => {
  context.status = status;
  context.type = 'application/xml';
  context.body = `<?xml version="1.0" encoding="UTF-8"?>${xml}`;
};

server.middleware.unshift(async (context, next) => {
  const [, ofBucket = '', ...key] = context.path.split('/');
  const { uploads, uploadId, prefix = '' } = context.query;
  if (context.method === 'GET' && uploads !== undefined && key.join('') === '')
    return answer(context, 200, await listUploads(ofBucket, prefix));
  if (uploadId === undefined || !['GET', 'DELETE'].includes(context.method)) return next();
  const folder = join(uploadsFolder(ofBucket), uploadId);
  try {
    if (context.method === 'GET') return answer(context, 200, await listParts(folder));
    await rm(folder, { recursive: true });
    context.status = 204;
  } catch (error) {
    if (!isGone(error)) throw error;
    answer(context, 404, element('Error', element('Code', 'NoSuchUpload') + element('Message', 'No such upload.')));
  }
  return undefined;
});

await server.run();
console.log('listening');
