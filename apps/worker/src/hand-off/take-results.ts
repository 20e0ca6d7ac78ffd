import { randomBytes } from 'node:crypto';
import {
  answerSchemaOf,
  type Batch,
  type BatchApi,
  costOf,
  noUsage,
  type Outcome,
  type Provider,
  type RequestBody,
  scalePrices,
  scratchFolder,
  segmentEntryHead,
  type Shard,
  toResult,
} from '@promptmill/core';
import { createSegmentWriter, type FileStore, type InputRequest, sortLines, splitLines } from '@promptmill/files';
import {
  type AnswerCheck,
  type BatchApiClient,
  type BatchLine,
  inputCharactersOf,
  type PriceList,
  readBatchLine,
} from '@promptmill/provider';
import type { Charge, CommittedResult, DispatchedRequests, ResultRecorder, Shards } from '@promptmill/queue';
import type { Metrics, PassFailPoint } from '@promptmill/runtime';
import { outcomeOf } from '../decide.ts';
import type { ShardLines } from './shard-lines.ts';

export interface TakeResultsOptions {
  readonly files: FileStore;
  readonly lines: Pick<ShardLines, 'read'>;
  readonly requests: Pick<DispatchedRequests, 'areSettled'>;
  readonly shards: Pick<Shards, 'commit'>;
  readonly recorder: Pick<ResultRecorder, 'noteWaste'>;
  readonly prices: PriceList;
  readonly answers: AnswerCheck;
  readonly metrics: Pick<Metrics, 'spending'>;
  readonly passFailPoint: PassFailPoint;
}

/** A shard whose batch at the provider has ended. */
export interface EndedShard {
  readonly batch: Batch;
  readonly plan: Shard;
  readonly provider: Provider;
  readonly batchApi: BatchApi;
  readonly client: BatchApiClient;
  /** The provider's ids of the files with its results. */
  readonly fileIds: readonly string[];
  readonly signal: AbortSignal;
}

/** The provider's answer to a request, or why that gives no result. */
interface Taken {
  /** Undefined when the request is to run live. */
  readonly result: (CommittedResult & { readonly entry: Buffer }) | undefined;
}

/** So wide that text sorts as its number does. */
const indexWidth = 10;
const newline = '\n';
/** A longer answer of a call is not taken either. */
const maxLineBytes = 65 * 1024 * 1024;

/**
 * Takes the results of a batch at a provider: they come in any order, are sorted in the store, and are then read beside the
 * input. Answers and errors that are final become results, in segments. It may be repeated: what has its result is left out.
 */
export const createTakeResults = (options: TakeResultsOptions) => {
  const { files, lines, requests, shards, recorder, prices, answers, metrics, passFailPoint } = options;

  /** The lines of the files, each after the index of its request. */
  async function* indexed({ client, fileIds, signal }: EndedShard): AsyncGenerator<string[]> {
    for (const fileId of fileIds) {
      const content = await client.download(fileId, signal);
      if (!content) continue;
      for await (const some of splitLines(content, { maxLineBytes })) {
        const found: string[] = [];
        for (const line of some) {
          if (line.oversize) continue;
          const text = line.bytes.toString();
          const index = /^\d{1,10}$/.exec(readBatchLine(text)?.customId ?? '')?.[0];
          if (index !== undefined) found.push(`${index.padStart(indexWidth, '0')} ${text}`);
        }
        if (found.length > 0) yield found;
      }
    }
  }

  const chargeOf = async (
    { batch, plan, provider, batchApi }: EndedShard,
    body: RequestBody,
    usage: CommittedResult['usage'],
  ): Promise<Charge> => {
    const found = await prices.pricesOf(provider, { ...body, model: plan.model });
    const nanoUsd = found && costOf(usage, scalePrices(found, batchApi.priceShare));
    const model = `${plan.provider}/${plan.model}`;
    return { tenant: batch.tenant, model, nanoUsd, inputCharacters: inputCharactersOf(body) };
  };

  const take = async (shard: EndedShard, { index, request }: InputRequest, line: BatchLine): Promise<Taken> => {
    const { batch, client } = shard;
    const { url, body, customId } = request;
    if (!line.response) return { result: undefined };
    const answer = client.readAnswer(url, line.response);
    const isChecked = answer.kind === 'success' && batch.checkSchema && answerSchemaOf(url, body) !== undefined;
    const checked = isChecked ? await answers.check({ tenant: batch.tenant, url, body }, answer) : answer;
    const resultOf = (
      outcome: Outcome,
      usage: CommittedResult['usage'],
      nanoUsd: number | undefined,
      characters: number,
    ) => {
      const { status, line: text } = toResult({ batchId: batch.id, index, customId }, outcome, {
        via: 'batch_api',
        ...(checked.kind === 'success' ? { nanoUsd } : {}),
      });
      // Its input line has no place in the window, so it counts no bytes there.
      const entry = Buffer.from(`${segmentEntryHead({ index, status, bytes: 0, nanoUsd })}${text}${newline}`);
      return { index, status, nanoUsd, usage, inputCharacters: characters, entry };
    };
    if (checked.kind === 'success') {
      const { statusCode, requestId, json, usage } = checked;
      const charge = await chargeOf(shard, body, usage);
      metrics.spending.add(charge, usage);
      const outcome = { kind: 'response', statusCode, requestId, json } as const;
      return { result: resultOf(outcome, usage, charge.nanoUsd, charge.inputCharacters) };
    }
    if (checked.usage) {
      const charge = await chargeOf(shard, body, checked.usage);
      await recorder.noteWaste(batch.id, charge);
      metrics.spending.add(charge, undefined);
    }
    return { result: checked.class === 'final' ? resultOf(outcomeOf(checked), noUsage, 0, 0) : undefined };
  };

  /** Resolves with how many of the shard's requests have no result, or with `unwanted` when their batch takes no more. */
  return async (shard: EndedShard): Promise<{ readonly left: number } | 'unwanted'> => {
    const { batch, plan } = shard;
    const writer = createSegmentWriter<CommittedResult & { readonly entry: Buffer }>({
      files,
      batchId: batch.id,
      areSettled: (indexes) => requests.areSettled(batch.id, indexes),
      commit: (segment, results) => shards.commit(batch, segment, `${plan.provider}/${plan.model}`, results),
      onWritten: () => passFailPoint('shard-written'),
      onCommitted: () => passFailPoint('shard-committed'),
    });
    // Another process may do the same.
    const folder = `${scratchFolder(batch.id)}shard-${plan.number}-${randomBytes(6).toString('hex')}/`;
    const sorted = sortLines(files, folder, indexed(shard));
    let some: readonly string[] = [];
    let at = 0;
    /** The first line of a request; undefined when it has none. Requests are asked for in order. */
    const lineOf = async (index: number): Promise<BatchLine | undefined> => {
      for (;;) {
        if (at >= some.length) {
          const next = await sorted.next();
          if (next.done) return undefined;
          [some, at] = [next.value, 0];
        }
        const text = some[at] ?? '';
        const found = Number(text.slice(0, indexWidth));
        if (found > index) return undefined;
        at++;
        if (found === index) return readBatchLine(text.slice(indexWidth + 1));
      }
    };
    let left = 0;
    try {
      for await (const request of lines.read(batch, plan)) {
        const line = await lineOf(request.index);
        const { result } = line ? await take(shard, request, line) : { result: undefined };
        if (!result) left++;
        else if (!(await writer.add(result))) return 'unwanted';
      }
      return (await writer.flush()) ? { left } : 'unwanted';
    } finally {
      await sorted.return();
    }
  };
};

export type TakeResults = ReturnType<typeof createTakeResults>;
