import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openWorkerSpace, type WorkerSpace } from './worker-space.ts';

const completion = (tier: string) => ({
  id: 'c1',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Bonjour' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1_000_000, completion_tokens: 0, total_tokens: 1_000_000 },
  service_tier: tier,
});

const flexBody = { model: 'm', messages: [], service_tier: 'flex' };
/** What dispatch gives a request that may step up; no time is near. */
const fallback = (more: object = {}) => ({
  models: ['first/m'],
  deadlineNearMs: Date.now() + 600_000,
  patienceMs: 600_000,
  giveUpAtMs: Date.now() + 600_000,
  ...more,
});

describe('a request in a flex lane', () => {
  let space: WorkerSpace;

  beforeEach(async () => {
    const models = { m: { prices: { input: 2 } } };
    space = await openWorkerSpace({ first: { flex: {}, models } });
    await space.startWorker();
  });
  afterEach(() => space.close());

  /** The result's own note, once there is one. */
  const untilNote = async (): Promise<unknown> => {
    const read = async (): Promise<string> => JSON.stringify(await space.redis.xrange(space.keys.results, '-', '+'));
    await expect.poll(read).toContain('promptmill');
    const [, note] = /"promptmill":(\{[^}]*\})/.exec((await read()).replaceAll('\\', '')) ?? [];
    return JSON.parse(note ?? '{}');
  };
  /** Without neutral looks, which have none. */
  const keysOfCalls = () => space.first.calls.flatMap(({ headers }) => headers['idempotency-key'] ?? []);

  it('that is refused for lack of capacity asks again, uses no attempt, and holds nobody', async () => {
    let refusals = 0;
    space.first.answerWith((_request, response) => {
      const refused = refusals++ < 3;
      response.writeHead(refused ? 429 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(refused ? { error: { code: 'resource_unavailable' } } : completion('flex')));
    });
    const id = await space.add('first.flex', 0, { more: { body: flexBody, fallback: fallback() } });
    expect(await untilNote()).toEqual({ tier: 'flex', cost_usd: 1 });
    expect(new Set(keysOfCalls())).toEqual(new Set([`${id}-flex`]));
    expect(space.first.calls).toHaveLength(4);
  });

  it('costs what the tier costs that the answer names', async () => {
    space.first.answerJson(200, completion('default'));
    await space.add('first.flex', 0, { more: { body: flexBody, fallback: fallback() } });
    expect(await untilNote()).toEqual({ tier: 'standard', cost_usd: 2 });
  });

  it.each([
    ['has no flex tier', 400, { error: { message: 'Not for this model.', param: 'service_tier' } }],
    ['is closed to its account', 403, { error: { message: 'Not for you.' } }],
  ])('whose model %s steps up', async (_, status, error) => {
    space.first.answerWith((_request, response) => {
      const isFirst = space.first.calls.length === 1;
      response.writeHead(isFirst ? status : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(isFirst ? error : completion('default')));
    });
    const id = await space.add('first.flex', 0, { more: { body: flexBody, fallback: fallback() } });
    expect(await untilNote()).toEqual({ tier: 'standard', tier_from: 'flex', cost_usd: 2 });
    expect(keysOfCalls()).toEqual([`${id}-flex`, id]);
  });

  it('steps up when its call has begun and would end too late', async () => {
    space.first.answerWith((_request, response) => {
      // The flex call is never answered.
      if (space.first.calls.length === 1) return;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(completion('default')));
    });
    const more = { body: flexBody, fallback: fallback({ giveUpAtMs: Date.now() + 500 }) };
    const id = await space.add('first.flex', 0, { more });
    expect(await untilNote()).toEqual({ tier: 'standard', tier_from: 'flex', cost_usd: 2 });
    expect(keysOfCalls()).toEqual([`${id}-flex`, id]);
  });

  it('steps up without a call when its deadline is near', async () => {
    space.first.answerJson(200, completion('default'));
    const more = { body: flexBody, fallback: fallback({ deadlineNearMs: Date.now() }) };
    const id = await space.add('first.flex', 0, { more });
    expect(await untilNote()).toEqual({ tier: 'standard', tier_from: 'flex', cost_usd: 2 });
    expect(keysOfCalls()).toEqual([id]);
  });
});
