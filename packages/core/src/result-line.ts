import { requestIdOf } from './ids.ts';

/** How a request ended: an answer of the provider, its JSON on one line, or none. */
export type Outcome =
  | { readonly kind: 'response'; readonly statusCode: number; readonly requestId: string; readonly json: string }
  | { readonly kind: 'error'; readonly code: string; readonly message: string };

/** What a request counts as, and so which file has its line: `completed` the output file, `failed` the error file. */
export type RequestStatus = 'completed' | 'failed';

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
): string => {
  const response =
    outcome.kind === 'response'
      ? `{"status_code":${outcome.statusCode},"request_id":${JSON.stringify(outcome.requestId)},"body":${outcome.json}}`
      : 'null';
  const error = outcome.kind === 'error' ? JSON.stringify({ code: outcome.code, message: outcome.message }) : 'null';
  const note = fallback
    ? `,"promptmill":${JSON.stringify({ model: fallback.model, fallback_from: fallback.fallbackFrom })}`
    : '';
  // The answer's text is taken over as it is: to parse it and write it again costs more than the rest of the line.
  return `{"id":"${requestIdOf(batchId, index)}","custom_id":${JSON.stringify(customId)},"response":${response},"error":${error}${note}}`;
};

/** A request's line, and which file it is for. */
export const toResult = (
  batchId: string,
  index: number,
  customId: string,
  outcome: Outcome,
  fallback?: FallbackNote,
): { readonly status: RequestStatus; readonly line: string } => ({
  status: isSuccess(outcome) ? 'completed' : 'failed',
  line: resultLine(batchId, index, customId, outcome, fallback),
});
