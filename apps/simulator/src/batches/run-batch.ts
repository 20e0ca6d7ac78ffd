import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { addUsage, noUsage, type Random, readCheckedLine, type RequestLine } from '@promptmill/core';
import { type FileStore, readInput } from '@promptmill/files';
import type { Behaviour } from '../behaviour.ts';
import type { CallLog, CallLogEntry } from '../call-log.ts';
import type { PrepareAnswer } from '../endpoints/endpoint.ts';
import type { CallPlanner } from '../plan-call.ts';
import { answerLine, unansweredLine } from './answer-line.ts';
import { type BatchRules, defaultBatchRules } from './batch-rules.ts';
import { checkInput } from './check-input.ts';
import type { Records } from './records.ts';
import { shuffled } from './shuffle-lines.ts';
import { hasEnded, type StoredBatch } from './stored-batch.ts';
import { contentKey, type StoredFile } from './stored-file.ts';

export interface RunBatchDeps {
  readonly store: FileStore;
  readonly files: Records<StoredFile>;
  readonly batches: Records<StoredBatch>;
  readonly behaviour: () => Behaviour;
  readonly answers: Readonly<Record<string, PrepareAnswer>>;
  readonly planCall: CallPlanner;
  readonly random: Random;
  readonly callLog: CallLog | undefined;
  readonly now: () => number;
  /** Ends all that runs, as a kill would. */
  readonly signal: AbortSignal;
}

/** Between two looks at the clock. */
const lookMs = 5;
/** Lines answered in a row. */
const linesAtOnce = 100;

export type RunBatch = (id: string) => Promise<void>;

/**
 * Takes a batch from the status it has to its end. A batch that was cut off while its lines were answered begins them anew
 * and bills them once, when it is over: its record has what is billed. The call log gets the lines' entries after that, so
 * it lacks those of a batch whose simulator was killed in that moment.
 */
export function createRunBatch(deps: RunBatchDeps): RunBatch {
  const { store, files, batches, behaviour, answers, planCall, random, callLog, now, signal } = deps;
  const rules = (): BatchRules => ({ ...defaultBatchRules, ...behaviour().batchApi });
  const batchOf = (id: string): StoredBatch => batches.get(id)!;
  const isCancelling = (id: string) => batchOf(id).status === 'cancelling';

  async function move(id: string, status: StoredBatch['status'], change: Partial<StoredBatch> = {}): Promise<void> {
    const batch = batchOf(id);
    await batches.put({ ...batch, ...change, status, reachedAtMs: { ...batch.reachedAtMs, [status]: now() } });
  }

  /** Waits so long, or until the batch is cancelled. */
  async function wait(id: string, ms: () => number): Promise<void> {
    const startedAt = now();
    while (now() - startedAt < ms() && !isCancelling(id)) await delay(lookMs, undefined, { signal });
  }

  async function validate(id: string): Promise<void> {
    await wait(id, () => rules().validatingMs);
    if (isCancelling(id)) return;
    const { inputFileId, endpoint } = batchOf(id);
    const open = () => store.get(contentKey(inputFileId));
    const { bytes } = files.get(inputFileId) ?? { bytes: 0 };
    const { errors, lines, model, inputTokens } = await checkInput(open, { endpoint, bytes, rules: rules() });
    if (isCancelling(id)) return;
    const found = { total: lines, inputTokens, ...(model === undefined ? {} : { model }) };
    const others = batches.list().filter((other) => other.id !== id && other.model === model && !hasEnded(other));
    const enqueued = others.reduce((sum, other) => sum + other.inputTokens, 0);
    const { maxEnqueuedTokens } = rules();
    const message =
      `Enqueued token limit reached for ${model}. Limit: ${maxEnqueuedTokens} enqueued tokens. ` +
      'Please try again once some in_progress batches have been completed.';
    const overLimit = { code: 'token_limit_exceeded', message, param: null, line: null };
    const problems = errors.length === 0 && enqueued + inputTokens > maxEnqueuedTokens ? [overLimit] : errors;
    if (problems.length > 0) await move(id, 'failed', { errors: problems, inputTokens: 0 });
    else await move(id, 'in_progress', found);
  }

  /** How many lines may have been answered by now. */
  function dueLines(total: number, startedAt: number): number {
    const { processingMs, answeredShare } = rules();
    const passed = processingMs === 0 ? 1 : (now() - startedAt) / processingMs;
    return Math.ceil(Math.min(Math.floor(total * answeredShare), total * passed));
  }

  /** Writes what comes of each line, until the batch is done, cancelled or expired. */
  async function answerLines(id: string): Promise<{ readonly entries: CallLogEntry[]; readonly isExpired: boolean }> {
    const { endpoint, inputFileId, outputFileId, errorFileId, total, createdAtMs } = batchOf(id);
    const startedAt = now();
    const failed: string[] = [];
    const entries: CallLogEntry[] = [];
    let expired = 0;
    const isExpired = () => now() >= createdAtMs + rules().windowMs;
    const answerDeps = { prepareAnswer: answers[endpoint]!, planCall, now };
    let answered = 0;

    const answer = (line: RequestLine): string | undefined => {
      const { text, status, usage } = answerLine(line, { ...answerDeps, behaviour: behaviour() });
      const batch = batchOf(id);
      const tokens = usage ? usage.inputTokens + usage.outputTokens : 0;
      if (usage) {
        batches.show({ ...batch, completed: batch.completed + 1, usage: addUsage(batch.usage, usage) });
      } else {
        batches.show({ ...batch, failed: batch.failed + 1 });
        failed.push(text);
      }
      const at = now();
      entries.push({
        at,
        endedAt: at,
        key: null,
        status,
        path: endpoint,
        model: line.body.model,
        inFlight: 0,
        tokens,
        batch: { id, customId: line.customId, priceShare: rules().priceShare },
      });
      return usage && text;
    };

    async function* output(): AsyncGenerator<Buffer> {
      const input = readInput(await store.get(contentKey(inputFileId)), readCheckedLine);
      const lines = async function* () {
        for await (const some of input)
          yield some.flatMap((line) => (line.oversize || !line.parsed ? [] : [line.parsed]));
      };
      for await (const line of shuffled(lines(), random)) {
        while (answered >= dueLines(total, startedAt) && !isExpired() && !isCancelling(id)) {
          await delay(lookMs, undefined, { signal });
        }
        if (isCancelling(id)) return;
        if (isExpired()) {
          const message = 'This request could not be executed before the completion window expired.';
          failed.push(unansweredLine(line.customId, 'batch_expired', message).text);
          expired++;
          continue;
        }
        const text = answer(line);
        if (text !== undefined) yield Buffer.from(`${text}\n`);
        if (++answered % linesAtOnce === 0) await setImmediate(undefined, { signal });
      }
    }

    await store.put(contentKey(outputFileId), output(), { signal });
    if (failed.length > 0) await store.put(contentKey(errorFileId), failed.map((text) => `${text}\n`).join(''));
    const batch = batchOf(id);
    batches.show({ ...batch, failed: batch.failed + expired });
    return { entries, isExpired: expired > 0 };
  }

  async function publish(id: string): Promise<Partial<StoredBatch>> {
    const { outputFileId, errorFileId, completed } = batchOf(id);
    const isBilled = (await store.size(contentKey(outputFileId))) !== undefined;
    const publishFile = async (fileId: string, filename: string): Promise<boolean> => {
      const bytes = await store.size(contentKey(fileId));
      if (bytes === undefined) return false;
      await files.put({ id: fileId, createdAtMs: now(), bytes, filename, purpose: 'batch_output' });
      return true;
    };
    const hasOutput = completed > 0 && (await publishFile(outputFileId, `${id}_output.jsonl`));
    if (!hasOutput) await store.delete(contentKey(outputFileId));
    const hasErrors = await publishFile(errorFileId, `${id}_error.jsonl`);
    // A simulator that was killed while it cancelled has no answers, whatever the counts were.
    return { hasOutput, hasErrors, ...(isBilled ? {} : { completed: 0, failed: 0, usage: noUsage }) };
  }

  async function process(id: string): Promise<void> {
    batches.show({ ...batchOf(id), completed: 0, failed: 0, usage: noUsage });
    await store.delete(contentKey(batchOf(id).errorFileId));
    const { entries, isExpired } = await answerLines(id);
    if (isCancelling(id)) await batches.put(batchOf(id));
    else if (isExpired) await move(id, 'expired', await publish(id));
    else await move(id, 'finalizing');
    for (const entry of entries) callLog?.append(entry);
  }

  async function finalize(id: string): Promise<void> {
    await wait(id, () => rules().finalizingMs);
    await move(id, 'completed', await publish(id));
  }

  async function cancel(id: string): Promise<void> {
    const startedAt = now();
    while (now() - startedAt < rules().cancellingMs) await delay(lookMs, undefined, { signal });
    await move(id, 'cancelled', await publish(id));
  }

  return async (id) => {
    while (!hasEnded(batchOf(id))) {
      const { status } = batchOf(id);
      if (status === 'validating') await validate(id);
      else if (status === 'in_progress') await process(id);
      else if (status === 'finalizing') await finalize(id);
      else await cancel(id);
    }
  };
}
