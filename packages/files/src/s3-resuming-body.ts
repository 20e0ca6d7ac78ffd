import { Readable } from 'node:stream';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { FileStoreError } from './file-store.ts';
import { throwStoreError } from './s3-error.ts';

type Answer = Pick<GetObjectCommandOutput, 'Body' | 'ContentLength' | 'ETag'>;

/** Times an answer may break off without a byte before the reader is told. */
const maxTriesWithoutBytes = 3;

/**
 * The bytes of an answer, from `start` in the file. A connection that breaks, or that the server closes on a slow reader,
 * is opened again where it was; a file that was replaced meanwhile is an error then.
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
