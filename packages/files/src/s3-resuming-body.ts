import { Readable } from 'node:stream';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { FileStoreError } from './file-store.ts';
import { throwStoreError } from './s3-error.ts';

type Answer = Pick<GetObjectCommandOutput, 'Body' | 'ContentLength' | 'ETag'>;

/** How often an answer may break off without a byte before the reader gets the error. */
const maxTriesWithoutBytes = 3;

/**
 * The bytes of an answer, from `start` in the file. When the connection breaks, or the server closes it because the
 * reader is slow, a new one goes on at the same byte. It is an error if the file was replaced meanwhile.
 */
export function resumingBody(
  first: Answer,
  start: number,
  open: (from: number, to: number) => Promise<Answer>,
): Readable {
  const end = start + (first.ContentLength ?? 0);
  let at = start;
  let body = first.Body as Readable;
  let chunks = body[Symbol.asyncIterator]();
  let triesLeft = maxTriesWithoutBytes;

  const reopen = async (): Promise<void> => {
    const answer = await open(at, end);
    body = answer.Body as Readable;
    chunks = body[Symbol.asyncIterator]();
    if (answer.ETag === first.ETag) return;
    body.destroy();
    throw new FileStoreError('unavailable', 'the file was replaced while it was read');
  };

  const next = async (): Promise<Buffer | null> => {
    for (;;) {
      try {
        const { value, done } = await chunks.next();
        if (done) return null;
        const chunk = value as Buffer;
        at += chunk.length;
        triesLeft = maxTriesWithoutBytes;
        return chunk;
      } catch (error) {
        if (stream.destroyed || triesLeft === 0) return throwStoreError(error);
        triesLeft -= 1;
        await reopen().catch(throwStoreError);
      }
    }
  };

  const stream = new Readable({
    async read() {
      try {
        this.push(await next());
      } catch (error) {
        this.destroy(error as Error);
      }
    },
    destroy(error, done) {
      body.destroy();
      done(error);
    },
  });
  return stream;
}
