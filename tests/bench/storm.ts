/**
 * Runs through a storm of 429: for a while the provider refuses nine calls of ten. Prints what the storm cost, whether
 * the workers waited for as long as the provider asked, and how soon the rate was back.
 *
 *   node tests/bench/storm.ts [--retry-after none|<seconds>|date:<seconds>|<any text>] [--seconds 60] [--adaptive]
 *                             [--workers 3]
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    'retry-after': { type: 'string', default: 'none' },
    seconds: { type: 'string', default: '60' },
    adaptive: { type: 'boolean', default: false },
    workers: { type: 'string', default: '3' },
  },
});
const asked = values['retry-after'];
const stormMs = Number(values.seconds) * 1000;
const concurrency = 40;
const latencyMs = 200;
const measureMs = 10_000;
/** Calls that were let in before the refusal was known arrive within this time. */
const underWayMs = 100;

const headersNow = (): Record<string, string> => {
  if (asked === 'none') return {};
  const [, inSeconds] = /^date:(\d+)$/.exec(asked) ?? [];
  return { 'retry-after': inSeconds ? new Date(Date.now() + Number(inSeconds) * 1000).toUTCString() : asked };
};

/** The least wait that a refusal asked for. An HTTP date has whole seconds, and is at most a second old. */
const askedMs = (): number => {
  const [, inSeconds] = /^date:(\d+)$/.exec(asked) ?? [];
  if (inSeconds) return Number(inSeconds) * 1000 - 2000;
  return /^\d+$/.test(asked) ? Number(asked) * 1000 : 0;
};

const stack = await startMeasuredStack({
  workers: Number(values.workers),
  env: { WORKER_CONCURRENCY: '50', LOG_LEVEL: 'warn', SIMULATOR_LATENCY_MS: String(latencyMs) },
  files: {
    'promptmill.yaml': JSON.stringify({
      providers: { simulator: values.adaptive ? {} : { concurrency } },
      // With one attempt, a request fails when the storm uses it. To find the limit uses attempts too.
      retry: { attempts: values.adaptive ? 6 : 1 },
    }),
  },
});

const storm = async (): Promise<void> => {
  const endsAt = Date.now() + stormMs;
  for (let left = stormMs; left > 0; left = endsAt - Date.now()) {
    await stack.control({ errorRate: 0.9, errorStatus: 429, errorHeaders: headersNow() });
    await delay(Math.min(1000, left));
  }
  await stack.control({ errorRate: 0 });
};

try {
  if (values.adaptive) await stack.control({ limits: { maxInFlight: concurrency, maxInFlightStatus: 503 } });
  const perSecond = (1000 / latencyMs) * concurrency;
  const requests = Math.round((perSecond * (3 * measureMs + stormMs * 0.2)) / 1000);
  const { id } = await createBatch(stack.client, inputOf(requests));
  await untilBatch(stack.client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) > perSecond);
  await delay(measureMs);
  const startedAt = Date.now();
  await storm();
  const endedAt = Date.now();
  const seen = await stack.calls();
  const refusals = seen.filter(({ status, at }) => status === 429 && at >= startedAt);
  const opensAt = Math.max(endedAt, ...refusals.map((refusal) => refusal.endedAt + askedMs()));
  await delay(opensAt - Date.now() + 5000 + measureMs);

  const calls = await stack.calls();
  const rate = (from: number, ms: number): number =>
    (1000 * calls.filter(({ status, endedAt: at }) => status === 200 && at >= from && at < from + ms).length) / ms;
  const before = rate(startedAt - measureMs, measureMs);
  const share = (from: number, ms: number): number => Math.round((1000 * rate(from, ms)) / before) / 10;
  const backAfter = Array.from({ length: 50 }, (_, i) => i / 10).find((s) => share(opensAt + s * 1000, 1000) >= 95);
  const tooEarly = calls.filter(({ at }) =>
    refusals.some((refusal) => at > refusal.endedAt + underWayMs && at < refusal.endedAt + askedMs()),
  );
  const batch = await untilBatch(stack.client, id, undefined, 120_000);
  console.log(
    JSON.stringify({
      retryAfter: asked,
      stormSeconds: stormMs / 1000,
      limit: values.adaptive ? 'none, 503 above 40 in flight' : `${concurrency} in flight`,
      refusals: refusals.length,
      answersInStorm: calls.filter(({ status, at }) => status === 200 && at >= startedAt && at < endedAt).length,
      failed: batch.request_counts?.failed,
      batch: `${batch.status}, ${batch.request_counts?.completed} of ${batch.request_counts?.total}`,
      callsTooEarly: tooEarly.length,
      ratePerSecondBefore: Math.round(before),
      secondsHeldAfterStorm: (opensAt - endedAt) / 1000,
      secondsUntil95Percent: backAfter,
      percentAfterFiveSeconds: share(opensAt + 5000, measureMs),
    }),
  );
} finally {
  await stack.stop();
}
