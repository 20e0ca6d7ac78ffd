import { pipeline } from 'node:stream/promises';
import { decodeSegmentEntry, segmentFolder } from '@promptmill/core';
import { type FileStore, splitLines } from '@promptmill/files';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { badRequest } from '../request-problem.ts';
import type { BatchParams, ResultsQuery } from './batch-schemas.ts';
import { findBatch } from './find-batch.ts';

/** A place in a batch's results: which of its segments, and the byte there at which the next result starts. */
interface Cursor {
  readonly segment: number;
  readonly offset: number;
}

const parseCursor = (text: string): Cursor => {
  const [segment = 0, offset = 0] = text.split('.').map(Number);
  return { segment, offset };
};

/** The result lines of a segment from `offset` on, each with the offset after it. Refuses an offset within a line. */
async function* resultLines(files: FileStore, key: string, offset: number) {
  // The byte before `offset` must end a line. A read from that byte then begins with an empty line.
  const start = Math.max(0, offset - 1);
  const source = await files.get(key, { start });
  const options = { maxLineBytes: Number.MAX_SAFE_INTEGER, startOffset: start };
  let seam = offset > 0;
  for await (const lines of splitLines(source, options))
    for (const line of lines) {
      if (line.oversize || (seam && line.bytes.length > 0))
        throw badRequest({
          message: "Invalid 'after': no result starts there.",
          code: 'invalid_value',
          param: 'after',
        });
      if (!seam) yield { line: decodeSegmentEntry(line.bytes).line.toString(), nextOffset: line.nextOffset };
      seam = false;
    }
}

async function* resultsFrom(files: FileStore, keys: readonly string[], { segment, offset }: Cursor) {
  for (const [i, key] of keys.entries())
    for await (const { line, nextOffset } of resultLines(files, key, i === 0 ? offset : 0))
      yield { line, next: { segment: segment + i, offset: nextOffset } };
}

/** The JSON text of a page of results. Results are not parsed, and are in memory one at a time. */
async function* pageText(files: FileStore, keys: readonly string[], from: Cursor, limit: number) {
  let separator = '{"object":"list","data":[';
  let count = 0;
  let next = from;
  let hasMore = false;
  for await (const result of resultsFrom(files, keys, from)) {
    hasMore = count === limit;
    if (hasMore) break;
    yield separator + result.line;
    separator = ',';
    count++;
    ({ next } = result);
  }
  yield `${count === 0 ? separator : ''}],"next":"${next.segment}.${next.offset}","has_more":${hasMore}}`;
}

/**
 * `GET /v1/batches/{batch_id}/results`: the results collected so far, in the order of collection, while the batch runs
 * and after.
 */
export const readResults =
  ({ batches, files }: Pick<ApiDependencies, 'batches' | 'files'>) =>
  async ({ tenant, params, query, response }: Call<BatchParams, ResultsQuery>): Promise<void> => {
    const { id } = await findBatch(batches, tenant, params.batch_id);
    const { limit } = query;
    const from = parseCursor(query.after);
    // The first segment may have no further result, and each other one has at least one: together they have more than
    // `limit`.
    const names = await batches.segments(id, from.segment, from.segment + limit + 1);
    const keys = names.map((name) => `${segmentFolder(id)}${name}`);
    const page = pageText(files, keys, from, limit);
    // A failure shows here, while the answer can still be an error.
    const first = await page.next();
    response.type('application/json');
    await pipeline(async function* () {
      yield first.value ?? '';
      yield* page;
    }, response);
  };
