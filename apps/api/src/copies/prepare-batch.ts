import { type Batch, completionWindowSeconds, copiedLine, type RequestLine } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import type { BatchCopies, BatchSnapshot, BatchStore } from '@promptmill/queue';
import type { PassFailPoint } from '@promptmill/runtime';
import { type InputRequest, readRequests } from '../dispatch/read-requests.ts';
import type { CopyWriter } from './copy-writer.ts';
import type { FindAnswers } from './find-answers.ts';
import { findRepeats, type FoundRepeats, type Question } from './find-repeats.ts';

/** The hash of what a request of a batch asks; undefined when it wants a call of its own. */
export type HashOf = (batch: Batch, request: RequestLine) => string | undefined;

export interface PrepareBatchOptions {
  readonly batches: Pick<BatchStore, 'read'>;
  readonly copies: Pick<BatchCopies, 'noteRepeats'>;
  readonly files: FileStore;
  readonly hashOf: HashOf;
  readonly findAnswers: FindAnswers;
  readonly openWriter: CopyWriter;
  readonly passFailPoint: PassFailPoint;
  readonly now: () => number;
}

/** Requests that are looked up at once. */
const chunkRequests = 250;
const maxChunkBytes = 1024 * 1024;
const lookEveryMs = 1000;

/** The requests of a batch, some at a time. */
async function* chunksOf(files: FileStore, inputFileId: string): AsyncGenerator<readonly InputRequest[]> {
  let chunk: InputRequest[] = [];
  let bytes = 0;
  for await (const request of readRequests(files, inputFileId, { index: 0, offset: 0, line: 1 })) {
    chunk.push(request);
    bytes += request.bytes;
    if (chunk.length < chunkRequests && bytes < maxChunkBytes) continue;
    yield chunk;
    [chunk, bytes] = [[], 0];
  }
  if (chunk.length > 0) yield chunk;
}

/**
 * What a batch with `dedupe` or `cache` does before its first request is dispatched: it copies known answers, and finds
 * which requests repeat others. Throws DispatchBlockedError.
 */
export const createPrepareBatch = (options: PrepareBatchOptions) => {
  const { batches, copies, files, hashOf, findAnswers, openWriter, passFailPoint, now } = options;

  return async ({ batch, state }: BatchSnapshot): Promise<void> => {
    const { id, tenant, inputFileId, cache } = batch;
    const writer = openWriter(id);
    let isWanted = true;
    let nextLookMs = now() + lookEveryMs;
    let cached = 0;

    /** Reading a large input takes a while, in which the batch may be cancelled. */
    const look = async (): Promise<void> => {
      if (now() < nextLookMs) return;
      nextLookMs = now() + lookEveryMs;
      const snapshot = await batches.read(id);
      if (!snapshot || snapshot.state.stopping) isWanted = false;
    };

    /** Copies the answers that are known. Returns the questions without one. */
    const copyKnown = async (questions: readonly Question[], since: number): Promise<readonly Question[]> => {
      const hashes = questions.map(({ hash }) => hash);
      const answered = new Set<Question>();
      for await (const { at, line } of findAnswers(tenant, hashes, since)) {
        const question = questions[at];
        if (!question) continue;
        answered.add(question);
        const { index, customId } = question;
        const copy = copiedLine({ batchId: id, index, customId }, line);
        if (!(await writer.add(index, 'completed', copy))) isWanted = false;
      }
      cached += answered.size;
      return questions.filter((question) => !answered.has(question));
    };

    async function* unanswered(): AsyncGenerator<readonly Question[]> {
      const since = cache === undefined ? undefined : now() / 1000 - (completionWindowSeconds(cache) ?? 0);
      for await (const chunk of chunksOf(files, inputFileId)) {
        const questions = chunk.flatMap(({ index, request }): Question[] => {
          const hash = hashOf(batch, request);
          return hash === undefined ? [] : [{ hash, index, customId: request.customId }];
        });
        const left = since === undefined ? questions : await copyKnown(questions, since);
        await look();
        if (!isWanted) return;
        yield left;
      }
      if (!(await writer.flush())) isWanted = false;
    }

    const questions = unanswered();
    let found: FoundRepeats = { list: 'none', bits: Buffer.alloc(0), count: 0 };
    if (batch.dedupe) found = await findRepeats(files, batch, questions);
    else while (!(await questions.next()).done);
    if (!isWanted) return;
    passFailPoint('repeats-found');
    await copies.noteRepeats(id, state.repeatList, { ...found, uncalled: found.count + cached });
  };
};

export type PrepareBatch = ReturnType<typeof createPrepareBatch>;
