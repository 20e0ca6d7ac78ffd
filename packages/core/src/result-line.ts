import { requestIdOf } from './ids.ts';

/** How a request ended: an answer of the provider, or none. */
export type Outcome =
  | { readonly kind: 'response'; readonly statusCode: number; readonly requestId: string; readonly body: unknown }
  | { readonly kind: 'error'; readonly code: string; readonly message: string };

/** Only a 2xx answer goes to the output file; all else goes to the error file. */
export const isSuccess = (outcome: Outcome): boolean =>
  outcome.kind === 'response' && outcome.statusCode >= 200 && outcome.statusCode < 300;

/** That another model than the one it names has answered a request. */
export interface FallbackNote {
  /** The model that was called, as `provider/model`. */
  readonly model: string;
  readonly fallbackFrom: string;
}

/**
 * The line a request leaves in the output or error file, without its line ending.
 * Source: https://platform.openai.com/docs/api-reference/batch/request-output; `promptmill`, which only a request that
 * a fallback has answered has, is our own.
 */
export const resultLine = (
  batchId: string,
  index: number,
  customId: string,
  outcome: Outcome,
  fallback?: FallbackNote,
): string =>
  JSON.stringify({
    id: requestIdOf(batchId, index),
    custom_id: customId,
    response:
      outcome.kind === 'response'
        ? { status_code: outcome.statusCode, request_id: outcome.requestId, body: outcome.body }
        : null,
    error: outcome.kind === 'error' ? { code: outcome.code, message: outcome.message } : null,
    ...(fallback ? { promptmill: { model: fallback.model, fallback_from: fallback.fallbackFrom } } : {}),
  });

const notStorable: Outcome = {
  kind: 'error',
  code: 'answer_not_storable',
  message: 'The provider answered, but its answer cannot be written as JSON: it is nested too deeply, or too long.',
};

/** A request's line, and which file it is for. It never throws: an answer that cannot be written leaves an error. */
export const toResult = (
  batchId: string,
  index: number,
  customId: string,
  outcome: Outcome,
  fallback?: FallbackNote,
): { readonly status: 'completed' | 'failed'; readonly line: string } => {
  try {
    const line = resultLine(batchId, index, customId, outcome, fallback);
    return { status: isSuccess(outcome) ? 'completed' : 'failed', line };
  } catch {
    return { status: 'failed', line: resultLine(batchId, index, customId, notStorable, fallback) };
  }
};
