import { type Batch, endedAt, fileKey, readLineHead } from '@promptmill/core';
import { type FileStore, splitLines } from '@promptmill/files';
import type { AnswerPlaces, DispatchedRequests, KnownAnswer } from '@promptmill/queue';
import type { Logger } from '@promptmill/runtime';
import { type InputRequest, readRequests } from '../dispatch/read-requests.ts';
import type { HashOf } from './prepare-batch.ts';

export interface RememberAnswersOptions {
  readonly files: FileStore;
  readonly requests: Pick<DispatchedRequests, 'placeBefore'>;
  readonly places: Pick<AnswerPlaces, 'add' | 'most'>;
  readonly hashOf: HashOf;
  readonly logger: Logger;
}

interface AnswerLine {
  readonly index: number;
  readonly offset: number;
  readonly length: number;
}

const addAtOnce = 500;

/** The answers that calls gave, of the model that was asked, among the last `most` lines of a batch's output file. */
async function* answersOf(files: FileStore, batch: Batch, most: number): AsyncGenerator<AnswerLine> {
  let skipped = Math.max(0, batch.completed - most);
  const source = await files.get(fileKey(batch.outputFileId));
  for await (const lines of splitLines(source, { maxLineBytes: Number.MAX_SAFE_INTEGER }))
    for (const line of lines) {
      if (line.oversize || skipped-- > 0) continue;
      const { index, note } = readLineHead(line.bytes);
      // A copy would make an answer younger than it is.
      if (note.copied_from !== undefined || note.fallback_from !== undefined) continue;
      yield { index, offset: line.offset, length: line.bytes.length };
    }
}

/**
 * Notes where the answers of an ended batch with `cache` are, for later batches of its tenant. What it cannot note is asked
 * for again: it fails no batch.
 */
export const createRememberAnswers = (options: RememberAnswersOptions) => {
  const { files, requests, places, hashOf, logger } = options;

  const remember = async (batch: Batch): Promise<void> => {
    const { id, tenant, inputFileId, outputFileId } = batch;
    const answeredAt = endedAt(batch) ?? 0;
    let inputs: AsyncGenerator<InputRequest> | undefined;
    let known: KnownAnswer[] = [];
    try {
      for await (const { index, offset, length } of answersOf(files, batch, places.most)) {
        inputs ??= readRequests(files, inputFileId, await requests.placeBefore(id, index));
        let input = await inputs.next();
        while (!input.done && input.value.index < index) input = await inputs.next();
        const hash = input.done ? undefined : hashOf(batch, input.value.request);
        if (hash === undefined) continue;
        known.push({ hash, place: { fileId: outputFileId, offset, length, answeredAt } });
        if (known.length < addAtOnce) continue;
        await places.add(tenant, known);
        known = [];
      }
      await places.add(tenant, known);
    } finally {
      await inputs?.return(undefined);
    }
  };

  return async (batch: Batch): Promise<void> => {
    if (batch.cache === undefined || !batch.outputPublished) return;
    try {
      await remember(batch);
    } catch (error) {
      logger.warn({ err: error, batch: batch.id }, 'the answers of a batch are not known to later ones');
    }
  };
};

export type RememberAnswers = ReturnType<typeof createRememberAnswers>;
