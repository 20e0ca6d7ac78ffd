import { type Batch, fullModelName, type LaneTable, questionHash, type RequestLine } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import {
  type BatchStore,
  createAnswerPlaces,
  createBatchCopies,
  type DispatchedRequests,
  type FileRecords,
  type Keys,
  type RedisConnection,
} from '@promptmill/queue';
import type { Logger, PassFailPoint } from '@promptmill/runtime';
import { createCopyResults } from './copy-results.ts';
import { createCopyWriter } from './copy-writer.ts';
import { createFindAnswers } from './find-answers.ts';
import { createPrepareBatch } from './prepare-batch.ts';
import { createRememberAnswers } from './remember-answers.ts';

export interface CopyingOptions {
  readonly redis: RedisConnection;
  readonly keys: Keys;
  readonly batches: BatchStore;
  readonly requests: DispatchedRequests;
  readonly files: FileStore;
  readonly records: FileRecords;
  readonly lanes: LaneTable;
  readonly logger: Logger;
  readonly passFailPoint: PassFailPoint;
}

/** The steps that give a batch's requests copies of results instead of calls. */
export const createCopying = (options: CopyingOptions) => {
  const { redis, keys, batches, requests, files, records, lanes, logger, passFailPoint } = options;
  const copies = createBatchCopies(redis, keys);
  const places = createAnswerPlaces(redis, keys);
  const openWriter = createCopyWriter({ files, copies, requests, passFailPoint });

  const hashOf = (batch: Batch, request: RequestLine): string | undefined => {
    const route = lanes.route(request.body.model);
    return route && questionHash(request, fullModelName(route), batch.checkSchema);
  };

  const prepare = createPrepareBatch({
    batches,
    copies,
    files,
    hashOf,
    findAnswers: createFindAnswers({ places, records, files }),
    openWriter,
    passFailPoint,
    now: Date.now,
  });
  return {
    copies,
    prepare,
    copy: createCopyResults({ batches, files, openWriter, prepare }),
    remember: createRememberAnswers({ files, requests, places, hashOf, logger }),
  };
};
