import type OpenAI from 'openai';
import type { Batch } from 'openai/resources/batches';
import { checkHistory } from '../support/check-history.ts';
import { type explainCalls, isAnswered, type ProviderCall } from './explain-calls.ts';
import { inputOfSubmission } from './plan-workload.ts';
import type { Submitted } from './submit-batches.ts';

/** The broken promises, and how the requests ended. */
export interface BatchFindings {
  readonly problems: string[];
  readonly completed: number;
  /** How many lines of the error files have each code. */
  readonly failed: Map<string, number>;
}

interface ErrorLine {
  readonly custom_id: string;
  readonly response: { readonly status_code: number } | null;
  readonly error: { readonly code: string } | null;
}

/** The attempts that the configuration gives a request. A 429 uses none. */
const maxAttempts = 6;
/** The fewest calls of a request that is given up because three workers died with it: the first may not have called. */
const minCallsUntilLost = 2;

const contentOf = async (client: OpenAI, id: string | null | undefined): Promise<string | undefined> =>
  id ? (await client.files.content(id)).text() : undefined;

const codeOf = ({ response, error }: ErrorLine): string => error?.code ?? String(response?.status_code);

/** Checks the history of every batch against the promises. */
export const checkBatches = async (
  client: OpenAI,
  submitted: readonly Submitted[],
  {
    wasHit,
    callsOf,
    mayForget,
  }: Pick<ReturnType<typeof explainCalls>, 'wasHit' | 'callsOf'> & {
    /** Whether Redis may have forgotten a cancellation until the batch had ended. */
    readonly mayForget: boolean;
  },
): Promise<BatchFindings> => {
  const problems: string[] = [];
  const failed = new Map<string, number>();
  let completed = 0;

  /** What is wrong with a line of an error file; undefined when nothing is. */
  const problemOf = (
    code: string,
    prompt: string,
    calls: readonly ProviderCall[],
    batch: Batch,
  ): string | undefined => {
    const uses = calls.filter(({ status }) => status !== 429).length;
    if (calls.some((call) => isAnswered(call) && !wasHit(call))) return 'was answered, and the answer thrown away';
    if (code === 'batch_cancelled')
      return batch.status === 'cancelled' ? undefined : 'was cancelled in a batch that was not';
    if (code === 'worker_lost') return uses < minCallsUntilLost ? `was given up after ${uses} calls` : undefined;
    if (code === '400') return prompt.includes('[[sim:status=400]]') ? undefined : 'was refused without a reason';
    return uses < maxAttempts ? `failed after ${uses} attempts` : undefined;
  };

  const check = async ({ plan, batchId, cancelled }: Submitted): Promise<void> => {
    const batch = await client.batches.retrieve(batchId);
    const input = inputOfSubmission(plan);
    const [output, errors] = [
      await contentOf(client, batch.output_file_id),
      await contentOf(client, batch.error_file_id),
    ];
    const calls = Array.from({ length: plan.requests }, (_, index) => callsOf(`${batchId}-${index}`)).flat();
    checkHistory({ input, output, errors, batch, calls, allowedRepeats: Infinity });
    if (cancelled !== (batch.status === 'cancelled') && !(mayForget && batch.status === 'completed'))
      problems.push(`P2: ${batchId} is ${batch.status}`);
    completed += batch.request_counts?.completed ?? 0;
    const prompts = input.split('\n');
    for (const line of (errors ?? '').split('\n').filter(Boolean)) {
      const parsed = JSON.parse(line) as ErrorLine;
      const index = Number(parsed.custom_id.slice(plan.key.length + 1));
      const code = codeOf(parsed);
      failed.set(code, (failed.get(code) ?? 0) + 1);
      const problem = problemOf(code, prompts[index] ?? '', callsOf(`${batchId}-${index}`), batch);
      if (problem) problems.push(`P3: ${batchId}-${index} (${code}) ${problem}`);
    }
  };

  for (const batch of submitted)
    try {
      await check(batch);
    } catch (error) {
      problems.push(`${batch.batchId} (${batch.plan.key}): ${error instanceof Error ? error.message : String(error)}`);
    }

  // A key makes one batch, however often it is sent.
  const batchesOf = new Map<string, string[]>();
  for await (const { id, metadata } of client.batches.list({ limit: 100 })) {
    const key = metadata?.['key'] ?? '';
    batchesOf.set(key, [...(batchesOf.get(key) ?? []), id]);
  }
  for (const [key, ids] of batchesOf) if (ids.length > 1) problems.push(`P4: ${key} made ${ids.length} batches`);
  for (const { plan, batchId } of submitted)
    if (!batchesOf.get(plan.key)?.includes(batchId)) problems.push(`P4: ${batchId} is in no list`);
  return { problems, completed, failed };
};
