import { ApiError, type Batch, fileKey, readCheckedLine } from '@promptmill/core';
import { type FileStore, FileStoreError, readInput } from '@promptmill/files';
import { createDispatchedRequests, type InputPlace } from '@promptmill/queue';
import type { z } from 'zod';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { BatchParams, requestList, RequestsQuery } from './batch-schemas.ts';
import { findBatch } from './find-batch.ts';

type Request = z.output<typeof requestList>['data'][number];

/** Longer lines come without their body when others are asked for too. */
const maxBodyBytes = 64 * 1024;
/** From one wanted line to the next, so many are read over; then it is quicker to look where the next one is. */
const maxReadOver = 10_000;

const open = async (files: FileStore, { inputFileId }: Batch, { offset }: InputPlace) => {
  try {
    return await files.get(fileKey(inputFileId), { start: offset });
  } catch (error) {
    if (!(error instanceof FileStoreError && error.code === 'not_found')) throw error;
    throw new ApiError(404, `The input file ${inputFileId} of this batch is gone.`, { code: 'file_not_found' });
  }
};

/** Indexes that are near to each other, so that they are read together. */
const nearEachOther = (indexes: readonly number[]): number[][] => {
  const groups: number[][] = [];
  for (const index of indexes) {
    const group = groups.at(-1);
    if (group && index - (group.at(-1) ?? 0) <= maxReadOver) group.push(index);
    else groups.push([index]);
  }
  return groups;
};

/** `GET /v1/batches/{batch_id}/requests`: some lines of a batch's input. A number that no line has is left out. */
export const readInputLines = ({
  batches,
  files,
  redis,
  keys,
}: Pick<ApiDependencies, 'batches' | 'files' | 'redis' | 'keys'>) => {
  const requests = createDispatchedRequests(redis, keys);

  const readGroup = async (batch: Batch, indexes: readonly number[], isOnlyOne: boolean): Promise<Request[]> => {
    const found: Request[] = [];
    const wanted = new Set(indexes);
    const last = indexes.at(-1) ?? 0;
    const place = await requests.placeBefore(batch.id, indexes[0] ?? 0);
    let { index } = place;
    const source = await open(files, batch, place);
    // Leaving the loop closes the file.
    for await (const lines of readInput(source, (text) => text, { startOffset: place.offset }))
      for (const line of lines) {
        if (wanted.has(index) && !line.oversize) {
          const request = readCheckedLine(line.parsed);
          const { customId: custom_id = '', url = '', body } = request ?? {};
          const isShown = isOnlyOne || line.bytes.length <= maxBodyBytes;
          found.push({ index, custom_id, url, ...(isShown ? { body } : {}) });
        }
        if (index === last) return found;
        index++;
      }
    return found;
  };

  return async ({ tenant, params, query }: Call<BatchParams, RequestsQuery>) => {
    const batch = await findBatch(batches, tenant, params.batch_id);
    const { indexes } = query;
    const data: Request[] = [];
    // One after another: together they would hold more in memory.
    for (const group of nearEachOther(indexes)) data.push(...(await readGroup(batch, group, indexes.length === 1)));
    return { object: 'list' as const, data };
  };
};
