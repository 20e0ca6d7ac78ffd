import type { BatchObject } from '@promptmill/core';
import { formatDuration } from '@promptmill/core/display';

/** Why a batch does not go on, for its owner to read. */
export interface Wait {
  readonly text: string;
  /** Whether it goes on only when someone does something. */
  readonly wantsAction: boolean;
}

type Held = BatchObject['promptmill']['waiting_for'][number];

/** What a provider does, by the code of the lane's reason. */
const words: Readonly<Record<string, string>> = {
  rate_limited: 'has to be called less often',
  provider_overloaded: 'is overloaded',
  provider_error: 'fails',
  provider_timeout: 'does not answer in time',
  request_timeout: 'does not answer in time',
  connection_error: 'cannot be reached',
  invalid_answer: 'answers with something else than an answer',
  incomplete_stream: 'breaks its answers off',
  authentication_failed: 'refuses the API key',
  payment_required: 'wants to be paid',
  insufficient_quota: 'says that the money ran out',
  permission_denied: 'refuses the account or the model',
};

/** Lanes whose reason is a sentence: no provider has such a name. */
const ownLimits = new Set(['cost_limit', 'tenant_limit']);

const until = (heldUntil: number | null, nowSeconds: number): string => {
  if (heldUntil === null) return 'It goes on when someone acts.';
  const seconds = heldUntil - nowSeconds;
  return seconds <= 0 ? 'It is tried again now.' : `It is tried again in ${formatDuration(seconds)}.`;
};

/** Why a lane is held, and until when. */
export const describeHold = (
  { lane, reason, held_until: heldUntil }: Pick<Held, 'lane' | 'reason' | 'held_until'>,
  nowSeconds: number,
): Wait => {
  const wantsAction = heldUntil === null;
  if (lane === 'cost_limit') {
    const then = wantsAction ? 'Raise the limit to go on.' : until(heldUntil, nowSeconds);
    return { text: `${reason} ${then}`, wantsAction };
  }
  if (ownLimits.has(lane)) return { text: `${reason} ${until(heldUntil, nowSeconds)}`, wantsAction };
  const [, code = '', status] = /^(\w+)(?: \((\d+)\))?$/.exec(reason) ?? [];
  const what = words[code] ?? `waits: ${reason}`;
  const answered = status === undefined ? '' : ` (${status})`;
  return { text: `${lane} ${what}${answered}. ${until(heldUntil, nowSeconds)}`, wantsAction };
};

/** So long a batch may be without a first answer before someone wants to know why. */
const patienceSeconds = 5;

/** Why a batch waits, in words; undefined when it goes on or has ended. @param nowSeconds Unix time */
export const describeWait = (batch: BatchObject, nowSeconds: number): Wait | undefined => {
  const { status, promptmill, request_counts: counts, in_progress_at: since } = batch;
  const { blocked, paused_at: pausedAt, waiting_for: holds } = promptmill;
  if (blocked) return { text: blocked.message, wantsAction: true };
  if (status === 'validating' && pausedAt === null) return { text: 'Its input is being checked.', wantsAction: false };
  if (status === 'finalizing') return { text: 'Its files are being written.', wantsAction: false };
  if (status === 'cancelling') return { text: 'Calls in flight may still end.', wantsAction: false };
  const money = holds.find(({ lane }) => lane === 'cost_limit');
  if (money) return describeHold(money, nowSeconds);
  if (pausedAt !== null) return { text: 'Paused. Resume it to go on.', wantsAction: true };
  const [held] = holds;
  if (held) return describeHold(held, nowSeconds);
  const hasNoAnswer = counts.completed + counts.failed === 0 && nowSeconds - (since ?? nowSeconds) > patienceSeconds;
  if (status === 'in_progress' && hasNoAnswer)
    return { text: 'No answer yet: other requests are before it, or no worker runs.', wantsAction: false };
  return undefined;
};
