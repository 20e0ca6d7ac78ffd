/**
 * Measures how three tenants with 1, 10 and 100 batches share a lane while all three have work, and how long a batch of
 * ten takes that a fourth tenant, and the one with the single batch, submit meanwhile.
 *
 *   node tests/bench/fair-share.ts [--requests 20000] [--latency-ms 20]
 *
 * `--requests` is the number of each tenant.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type OpenAI from 'openai';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    'latency-ms': { type: 'string', default: '20' },
  },
});
const requests = Number(values.requests);
const tenants = { one: 1, ten: 10, hundred: 100 };
type Tenant = keyof typeof tenants;
const names = Object.keys(tenants) as Tenant[];
const everyMs = 200;

const keyOf = (tenant: string): string => `key-of-${tenant}`;
const stack = await startMeasuredStack({
  workers: 2,
  collectors: 1,
  env: {
    SIMULATOR_LATENCY_MS: values['latency-ms'],
    LOG_LEVEL: 'warn',
    PROMPTMILL_API_KEYS: [...names, 'late'].map((tenant) => `${tenant}:${keyOf(tenant)}`).join(','),
  },
});
// On a busy machine Redis may take longer than the 1.5 s after which the api answers 503.
const clientOf = (tenant: string): OpenAI => stack.client.withOptions({ apiKey: keyOf(tenant), maxRetries: 5 });

const submit = async (tenant: Tenant): Promise<string[]> => {
  const input = inputOf(requests / tenants[tenant]);
  const batches = Array.from({ length: tenants[tenant] }, () => createBatch(clientOf(tenant), input));
  return (await Promise.all(batches)).map(({ id }) => id);
};

/** Requests of a tenant that have a result. */
const doneOf = async (tenant: Tenant): Promise<number> => {
  const page = await clientOf(tenant).batches.list({ limit: 100 });
  return page.data.reduce((sum, { request_counts: counts }) => sum + (counts?.completed ?? 0), 0);
};

const counts = async (): Promise<Record<Tenant, number>> =>
  Object.fromEntries(await Promise.all(names.map(async (tenant) => [tenant, await doneOf(tenant)] as const))) as Record<
    Tenant,
    number
  >;

const untilSmallIsDone = async (tenant: string): Promise<string> => {
  const startedAt = performance.now();
  const client = clientOf(tenant);
  const { id } = await createBatch(client, inputOf(10));
  await untilBatch(client, id);
  return `${Math.round(performance.now() - startedAt)} ms`;
};

try {
  // The tenant with the most batches comes first.
  await Promise.all([submit('hundred'), submit('ten'), submit('one')]);
  let before = await counts();
  while (Object.values(before).some((done) => done === 0)) {
    await delay(everyMs);
    before = await counts();
  }
  const small = Promise.all([untilSmallIsDone('one'), untilSmallIsDone('late')]);
  let after = before;
  for (;;) {
    await delay(everyMs);
    const now = await counts();
    if (Object.values(now).some((done) => done >= requests)) break;
    after = now;
  }
  const done = names.map((tenant) => after[tenant] - before[tenant]);
  const mean = done.reduce((sum, count) => sum + count) / names.length;
  console.table(
    Object.fromEntries(
      names.map((tenant, i) => [
        tenant,
        {
          batches: tenants[tenant],
          'requests while all had work': done[i],
          'of an equal share': `${((100 * (done[i] ?? 0)) / mean).toFixed(1)} %`,
        },
      ]),
    ),
  );
  const [ofOne, ofLate] = await small;
  console.log(`a batch of ten beside that: of the tenant with one batch ${ofOne}, of a fourth tenant ${ofLate}`);
} finally {
  await stack.stop();
}
