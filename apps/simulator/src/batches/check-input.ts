import {
  type BatchError,
  createInputSummary,
  type Endpoint,
  findBatchErrors,
  onlyModel,
  parseRequestLine,
} from '@promptmill/core';
import { readInput } from '@promptmill/files';
import { missingModel } from '../endpoints/models.ts';
import { countTokens } from '../tokens.ts';
import type { BatchRules } from './batch-rules.ts';

export interface CheckedInput {
  /** What keeps the batch from running; empty when nothing does. */
  readonly errors: readonly BatchError[];
  readonly lines: number;
  readonly model: string | undefined;
  /** An estimate: a token for every four characters of the bodies. */
  readonly inputTokens: number;
}

/**
 * Reads a batch's whole input as OpenAI does while a batch is `validating`. OpenAI documents the limits, but not every code:
 * `invalid_file_size` and `model_mismatch` may be called otherwise there.
 */
export async function checkInput(
  open: () => Promise<AsyncIterable<Uint8Array>>,
  { endpoint, bytes, rules }: { endpoint: Endpoint; bytes: number; rules: BatchRules },
): Promise<CheckedInput> {
  const none = { lines: 0, model: undefined, inputTokens: 0 };
  if (bytes > rules.maxBytes) {
    const message = `The input file has ${bytes} bytes; it may have ${rules.maxBytes}.`;
    return { ...none, errors: [{ code: 'invalid_file_size', message, param: null, line: null }] };
  }
  const summary = createInputSummary();
  const seen = new Set<string>();
  let inputTokens = 0;
  for await (const lines of readInput(await open(), parseRequestLine)) {
    for (const line of lines) {
      if (line.oversize) continue;
      const { number, parsed } = line;
      if (!parsed.ok) {
        summary.addBadLine(number, parsed.problem);
        continue;
      }
      const { request } = parsed;
      summary.addRequest(number, request);
      inputTokens += countTokens(JSON.stringify(request.body));
      if (seen.has(request.customId)) {
        const message = `The custom_id ${request.customId} is that of an earlier line.`;
        summary.addProblem(number, { code: 'duplicate_custom_id', message, param: 'custom_id' });
      }
      seen.add(request.customId);
    }
  }
  const found = summary.finish();
  const [first] = Object.keys(found.models);
  const refusalOf = (model: string) => {
    if (model === missingModel) return { code: 'model_not_found', message: `The model \`${model}\` does not exist.` };
    if (model === first) return undefined;
    return { code: 'model_mismatch', message: 'All requests of a batch must name the same model.' };
  };
  return {
    errors: findBatchErrors(found, { endpoint, maxRequests: rules.maxLines, refusalOf }),
    lines: found.requests,
    model: onlyModel(found),
    inputTokens,
  };
}
