import type { ReplyHeaders } from './send-call.ts';

const decimal = /^\d+(?:\.\d+)?$/;
// Date.parse alone accepts nearly any text with a number in it.
const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

const askedMsOf = (headers: ReplyHeaders, nowMs: number): number | undefined => {
  const milliseconds = headers.get('retry-after-ms')?.trim();
  if (milliseconds && decimal.test(milliseconds)) return Math.ceil(Number(milliseconds));
  const value = headers.get('retry-after')?.trim();
  if (!value) return undefined;
  if (decimal.test(value)) return Math.ceil(Number(value) * 1000);
  if (!httpDate.test(value)) return undefined;
  const dateMs = Date.parse(value);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
};

const unitMs: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
const duration = /^(?:\d+(?:\.\d+)?(?:ms|[dhms]))+$/;
const instant = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z$/;

/** `1s`, `6m0s`, `120ms` (OpenAI), an ISO time (Anthropic), or seconds, as milliseconds from now. */
const resetMsOf = (value: string, nowMs: number): number | undefined => {
  if (decimal.test(value)) return Number(value) * 1000;
  if (instant.test(value)) return Math.max(0, Date.parse(value) - nowMs);
  if (!duration.test(value)) return undefined;
  const parts = value.matchAll(/(\d+(?:\.\d+)?)(ms|[dhms])/g);
  return [...parts].reduce((sum, [, amount, unit = '']) => sum + Number(amount) * (unitMs[unit] ?? 0), 0);
};

/** For each limit, the header that says how much of it remains, and the header that says when it is full again. */
const limits = ['requests', 'tokens', 'input-tokens', 'output-tokens'].flatMap((kind) => [
  [`x-ratelimit-remaining-${kind}`, `x-ratelimit-reset-${kind}`] as const,
  [`anthropic-ratelimit-${kind}-remaining`, `anthropic-ratelimit-${kind}-reset`] as const,
]);

/** A limit has room for a call long before it is full again. One that counts by the minute has room within a minute. */
const longestResetMs = 60_000;

/** Milliseconds until the last of the limits that are used up is full again; undefined when the headers name none. */
const exhaustedMsOf = (headers: ReplyHeaders, nowMs: number): number | undefined => {
  const waits = limits
    .filter(([remaining]) => headers.get(remaining)?.trim() === '0')
    .map(([, reset]) => resetMsOf(headers.get(reset)?.trim() ?? '', nowMs))
    .filter((ms) => ms !== undefined);
  return waits.length === 0 ? undefined : Math.min(longestResetMs, Math.ceil(Math.max(...waits)));
};

/**
 * How long a provider that refused a call asks its caller to wait, in milliseconds: `retry-after-ms`, else
 * `retry-after` in seconds or as an HTTP date (a past one is 0), else the reset of the limits that its rate-limit
 * headers say are used up. undefined when it does not say so in a known form.
 * Sources: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after,
 * https://platform.openai.com/docs/guides/rate-limits, https://docs.anthropic.com/en/api/rate-limits
 */
export const retryAfterMsOf = (headers: ReplyHeaders, nowMs: number): number | undefined =>
  askedMsOf(headers, nowMs) ?? exhaustedMsOf(headers, nowMs);
