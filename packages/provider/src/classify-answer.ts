import { field } from '@promptmill/core';

/**
 * What a failed call means:
 * - `retry`: the same call may succeed later.
 * - `final`: this request will never succeed; others may.
 * - `provider`: no request to this provider will succeed until someone acts.
 */
export type FailureClass = 'retry' | 'final' | 'provider';

/**
 * What an answer says of the provider, and so of the lane:
 * - `ok`: it works.
 * - `throttled`: it wants fewer calls; the call did not count.
 * - `overloaded`: it has more calls than it can take.
 * - `down`: it is not there, or not itself.
 * - `stopped`: it takes no call until someone acts.
 */
export type LaneSignal = 'ok' | 'throttled' | 'overloaded' | 'down' | 'stopped';

interface Row {
  readonly class: FailureClass;
  readonly lane: LaneSignal;
  /** The HTTP statuses it stands for. */
  readonly statuses?: readonly number[];
}

/** Every way a call can fail. Here, and nowhere else, it is decided what is tried again. Codes are stable. */
export const failures = {
  /** One of the provider's time limits was passed. */
  request_timeout: { class: 'retry', lane: 'overloaded' },
  /** Refused, reset, no such host, TLS, not connected in time, or cut off before the answer was complete. */
  connection_error: { class: 'retry', lane: 'down' },
  /** A 2xx that is empty, no JSON, or has not the shape of its endpoint's answer. */
  invalid_answer: { class: 'retry', lane: 'down' },
  /** A stream that told of an error, or ended before its answer did. */
  incomplete_stream: { class: 'retry', lane: 'down' },
  /** More bytes than `maxAnswerBytes`: it would be so again, and be paid for again. */
  answer_too_large: { class: 'final', lane: 'ok' },
  /** Nested so deeply that others could not read it. */
  answer_not_storable: { class: 'final', lane: 'ok' },

  provider_timeout: { class: 'retry', lane: 'overloaded', statuses: [408] },
  conflict: { class: 'retry', lane: 'ok', statuses: [409] },
  rate_limited: { class: 'retry', lane: 'throttled', statuses: [429] },
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

  authentication_failed: { class: 'provider', lane: 'stopped', statuses: [401] },
  payment_required: { class: 'provider', lane: 'stopped', statuses: [402] },
  permission_denied: { class: 'provider', lane: 'stopped', statuses: [403] },
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

/** The `code` or `type` of an error body that says the account can pay for no more. */
const outOfMoney = new Set<unknown>(['insufficient_quota', 'credit_balance_exhausted', 'billing_hard_limit_reached']);
const moneyStatuses = new Set([400, 402, 403, 429]);

const saysOutOfMoney = (body: unknown): boolean =>
  [field(body, 'error'), body].some(
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

/** The code of an error that came within a stream: its status was 200. */
export const codeOfStreamError = (error: unknown): FailureCode =>
  saysOutOfMoney(error) ? 'insufficient_quota' : 'incomplete_stream';

/** What an error body says to people: OpenAI's shape, or `error`, `message` or `detail` as others have it. */
export const messageOfAnswer = (body: unknown): string | undefined => {
  const error = field(body, 'error');
  const candidates = [field(error, 'message'), error, field(body, 'message'), field(body, 'detail'), body];
  return candidates.find((text) => typeof text === 'string' && text.trim() !== '') as string | undefined;
};
