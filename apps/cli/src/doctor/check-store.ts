import { randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';
import type { S3Location } from '@promptmill/core';
import { openFileStore } from '@promptmill/files';
import { type Check, checksOf } from './check.ts';

const { ok, failed } = checksOf('file store');

const hints: readonly (readonly [RegExp, string])[] = [
  [
    /load credentials/i,
    'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or other credentials that the AWS SDK looks for.',
  ],
  [/SignatureDoesNotMatch|InvalidAccessKeyId/, 'AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is wrong.'],
  [/NoSuchBucket/, 'Create the bucket, or correct PROMPTMILL_STORE.'],
  [/PermanentRedirect|AuthorizationHeaderMalformed/, 'The bucket is in another region: correct S3_REGION.'],
  [
    /AccessDenied/,
    'These credentials do not allow that: they must be able to read, write, list and delete below the prefix.',
  ],
  [/ECONNREFUSED|ENOTFOUND|EAI_AGAIN|timeout|timed out/i, 'Is it running? Start it, or correct S3_ENDPOINT.'],
];

const hintOf = (message: string): string =>
  hints.find(([pattern]) => pattern.test(message))?.[1] ?? 'Are PROMPTMILL_STORE, S3_ENDPOINT and S3_REGION right?';

/** Writes, reads, lists and deletes a small object, as Promptmill does with its files. */
export const checkStore = async (location: S3Location): Promise<Check> => {
  const { bucket, prefix, endpoint } = location;
  const where = `s3://${bucket}/${prefix}${endpoint === undefined ? '' : ` at ${endpoint}`}`;
  const folder = 'doctor/';
  const key = folder + randomUUID();
  const files = await openFileStore(location);
  const startedAt = performance.now();
  try {
    await files.put(key, key);
    const read = await text(await files.get(key));
    const listed = await Array.fromAsync(files.list(folder));
    // Nothing is that old, so this removes nothing: it only checks the permission.
    await files.removeAbandoned(Number.MAX_SAFE_INTEGER);
    const deleted = await files.delete(key);
    if (read !== key || !deleted || !listed.some((file) => file.key === key))
      return failed(`${where} does not give back what was written to it`, 'The store must be consistent, as S3 is.');
    const ms = Math.round(performance.now() - startedAt);
    return ok(`${where} can be written to, read, listed and deleted from (${ms} ms)`);
  } catch (error) {
    await files.delete(key).catch(() => {});
    const { message } = error as Error;
    return failed(`cannot use ${where}: ${message}`, hintOf(message));
  }
};
