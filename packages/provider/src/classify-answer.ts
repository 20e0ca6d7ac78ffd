import { field } from '@promptmill/core';

/**
 * What a failed call means:
 * - `retry`: the same call may succeed later.
 * - `final`: this request will never succeed; others may.
 * - `provider`: this request will not until someone acts, and perhaps no other will.
 * - `mismatch`: the same call would fail the same way; one that says what was wrong may succeed.
 */
export type FailureClass = 'retry' | 'final' | 'provider' | 'mismatch';

/**
 * What an answer says about the provider, and so about its lane:
 * - `ok`: it works.
 * - `throttled`: it wants fewer calls; the call did not count.
 * - `overloaded`: it has more calls than it can take.
 * - `down`: it cannot be reached, or does not work.
 * - `stopped`: it takes no call until someone acts.
 * - `refused`: it does not take this request, or its model, or any.
 * - `accountRefused`: it does not take the key or has no money for it, for this request or for any.
 */
export type LaneSignal = 'ok' | 'throttled' | 'overloaded' | 'down' | 'stopped' | 'refused' | 'accountRefused';

interface Row {
  readonly class: FailureClass;
  readonly lane: LaneSignal;
  /** The HTTP statuses that mean this. */
  readonly statuses?: readonly number[];
}

/** Every way in which a call can fail. This table alone decides what is tried again. Codes are stable. */
export const failures = {
  /** One of the provider's time limits was passed. */
  request_timeout: { class: 'retry', lane: 'overloaded' },
  /** Refused, reset, no such host, TLS, not connected in time, or cut off before the answer was complete. */
  connection_error: { class: 'retry', lane: 'down' },
  /** A 2xx that is empty, is no JSON, or lacks the shape of its endpoint's answer. */
  invalid_answer: { class: 'retry', lane: 'down' },
  /** A stream that reported an error, or ended before its answer was complete. */
  incomplete_stream: { class: 'retry', lane: 'down' },
  /** More bytes than `maxAnswerBytes`. The next answer would be as long, and cost as much. */
  answer_too_large: { class: 'final', lane: 'ok' },
  /** JSON that is nested too deeply for other programs to read. */
  answer_not_storable: { class: 'final', lane: 'ok' },
  /** An answer that is no JSON, or does not match the schema of its request. */
  schema_mismatch: { class: 'mismatch', lane: 'ok' },
  /** A refusal of the model in place of an answer that matches. */
  answer_refused: { class: 'final', lane: 'ok' },
  /** An answer that ends before it matches: it has as many tokens as it may, or a filter ended it. */
  answer_cut_off: { class: 'final', lane: 'ok' },
  /** An answer that cannot be checked: as a rule its schema takes too long. */
  answer_unchecked: { class: 'final', lane: 'ok' },

  provider_timeout: { class: 'retry', lane: 'overloaded', statuses: [408] },
  conflict: { class: 'retry', lane: 'ok', statuses: [409] },
  /** 498: the flex tier has no capacity. Source: https://console.groq.com/docs/flex-processing */
  rate_limited: { class: 'retry', lane: 'throttled', statuses: [429, 498] },
  provider_overloaded: { class: 'retry', lane: 'overloaded', statuses: [503, 529] },
  /** Every other 5xx. */
  provider_error: { class: 'retry', lane: 'down', statuses: [500] },

  bad_request: { class: 'final', lane: 'ok', statuses: [400] },
  not_found: { class: 'final', lane: 'ok', statuses: [404] },
  request_too_large: { class: 'final', lane: 'ok', statuses: [413] },
  unprocessable_request: { class: 'final', lane: 'ok', statuses: [422] },
  /** Every other 4xx. */
  request_refused: { class: 'final', lane: 'ok' },
  /** Any 3xx: a redirect could carry the key to another host. */
  unexpected_redirect: { class: 'final', lane: 'ok' },

  authentication_failed: { class: 'provider', lane: 'accountRefused', statuses: [401] },
  payment_required: { class: 'provider', lane: 'accountRefused', statuses: [402] },
  permission_denied: { class: 'provider', lane: 'refused', statuses: [403] },
  /** The money ran out, whatever the status says. */
  insufficient_quota: { class: 'provider', lane: 'stopped' },
} as const satisfies Record<string, Row>;

export type FailureCode = keyof typeof failures;

export const classOf = (code: FailureCode): FailureClass => failures[code].class;

export const laneSignalOf = (code: FailureCode): LaneSignal => failures[code].lane;

const codeOfStatus = new Map(
  Object.entries<Row>(failures).flatMap(([code, { statuses = [] }]) =>
    statuses.map((status) => [status, code as FailureCode] as const),
  ),
);

/** A `code` or `type` in an error body that says the account has no money left. */
const outOfMoney = new Set<unknown>(['insufficient_quota', 'credit_balance_exhausted', 'billing_hard_limit_reached']);
const moneyStatuses = new Set([400, 402, 403, 429]);

/** Gemini wraps an error body into an array of one. */
const unwrapped = (body: unknown): unknown => (Array.isArray(body) ? body[0] : body);

const saysOutOfMoney = (body: unknown): boolean =>
  [field(unwrapped(body), 'error'), unwrapped(body)].some(
    (error) => outOfMoney.has(field(error, 'code')) || outOfMoney.has(field(error, 'type')),
  );

/** The code of an answer whose status is not 2xx. */
export const codeOfAnswer = (statusCode: number, body: unknown): FailureCode => {
  if (moneyStatuses.has(statusCode) && saysOutOfMoney(body)) return 'insufficient_quota';
  const code = codeOfStatus.get(statusCode);
  if (code) return code;
  if (statusCode >= 500) return 'provider_error';
  return statusCode >= 400 ? 'request_refused' : 'unexpected_redirect';
};

/** The code of an error inside a stream, whose status was 200. */
export const codeOfStreamError = (error: unknown): FailureCode =>
  saysOutOfMoney(error) ? 'insufficient_quota' : 'incomplete_stream';

/** The message in an error body: in OpenAI's shape, or as `error`, `message` or `detail`, as others write it. */
export const messageOfAnswer = (answer: unknown): string | undefined => {
  const body = unwrapped(answer);
  const error = field(body, 'error');
  const candidates = [field(error, 'message'), error, field(body, 'message'), field(body, 'detail'), body];
  return candidates.find((text) => typeof text === 'string' && text.trim() !== '') as string | undefined;
};
