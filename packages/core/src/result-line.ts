import { requestIdOf } from './ids.ts';
import { nanosToUsd } from './prices.ts';
import type { ServiceTier } from './service-tier.ts';

/** What is wrong, in a result line. */
export interface ResultError {
  readonly code: string;
  readonly message: string;
}

/** How a request ended: with an answer of the provider, or with an error. */
export type Outcome =
  | {
      readonly kind: 'response';
      readonly statusCode: number;
      readonly requestId: string;
      /** On one line. */
      readonly json: string;
      /** Headers that are of use to a live call's caller. */
      readonly headers?: Readonly<Record<string, string>>;
      /** How long the provider asks its callers to wait, in milliseconds. */
      readonly retryAfterMs?: number | undefined;
      /** Why the answer, although it was paid for, is not what was asked for. */
      readonly error?: ResultError;
    }
  | ({ readonly kind: 'error' } & ResultError);

/** What a request with a result counts as. The output file has the completed ones, the error file those that failed. */
export type RequestStatus = 'completed' | 'failed';

/** Only a 2xx answer without an error goes to the output file; all else goes to the error file. */
export const isSuccess = (outcome: Outcome): boolean =>
  outcome.kind === 'response' && !outcome.error && outcome.statusCode >= 200 && outcome.statusCode < 300;

/** Says that a fallback has answered a request. */
export interface FallbackNote {
  /** The model that was called, as `provider/model`. */
  readonly model: string;
  /** The model that the request names, as `provider/model`. */
  readonly fallbackFrom: string;
}

/** Which tier answered a request that began in flex. */
export interface TierNote {
  readonly tier: ServiceTier;
  /** Set when the request has left flex. */
  readonly tierFrom?: 'flex' | undefined;
}

/** What a line says of its answer beside OpenAI's fields. */
export interface ResultNote {
  readonly tier?: TierNote | undefined;
  /** Set when a fallback has answered. */
  readonly fallback?: FallbackNote | undefined;
  /** Set when the provider's batch API gave the result. */
  readonly via?: 'batch_api' | undefined;
  /** What the answer cost, in billionths of a dollar. Undefined when that is unknown, and when the line has none. */
  readonly nanoUsd?: number | undefined;
}

const noteText = ({ tier, fallback, via, nanoUsd }: ResultNote): string => {
  if (!tier && !fallback && via === undefined && nanoUsd === undefined) return '';
  const note = {
    ...(fallback && { model: fallback.model, fallback_from: fallback.fallbackFrom }),
    ...(tier && { tier: tier.tier, ...(tier.tierFrom && { tier_from: tier.tierFrom }) }),
    ...(via !== undefined && { via }),
    ...(nanoUsd !== undefined && { cost_usd: nanosToUsd(nanoUsd) }),
  };
  return `,"promptmill":${JSON.stringify(note)}`;
};

export interface AnsweredRequest {
  readonly batchId: string;
  /** 0-based position of the request in its batch. */
  readonly index: number;
  readonly customId: string;
}

/**
 * A request's line in the output or error file, without its line ending.
 * Source: https://platform.openai.com/docs/api-reference/batch/request-output. Only the field `promptmill` is our own;
 * it is there when the answer's cost is known, a fallback or a provider's batch API has answered, or the request began in
 * flex.
 */
export const resultLine = (
  { batchId, index, customId }: AnsweredRequest,
  outcome: Outcome,
  note: ResultNote = {},
): string => {
  const response =
    outcome.kind === 'response'
      ? `{"status_code":${outcome.statusCode},"request_id":${JSON.stringify(outcome.requestId)},"body":${outcome.json}}`
      : 'null';
  const wrong = outcome.kind === 'error' ? outcome : outcome.error;
  const error = wrong ? JSON.stringify({ code: wrong.code, message: wrong.message }) : 'null';
  // The answer's text is copied as it is. Parsing it and writing it again would cost more than the rest of the line.
  return `{"id":"${requestIdOf(batchId, index)}","custom_id":${JSON.stringify(customId)},"response":${response},"error":${error}${noteText(note)}}`;
};

/** A request's line, and which file it is for. */
export const toResult = (
  request: AnsweredRequest,
  outcome: Outcome,
  note?: ResultNote,
): { readonly status: RequestStatus; readonly line: string } => ({
  status: isSuccess(outcome) ? 'completed' : 'failed',
  line: resultLine(request, outcome, note),
});
