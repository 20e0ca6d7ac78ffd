import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inputFile } from '../../apps/api/test/support/input.ts';
import { board, keys } from '../../apps/api/test/support/test-api.ts';
import { type LiveSpace, startLiveSpace } from '../support/live-space.ts';

type Line = Readonly<Record<string, unknown>>;

const completion = {
  id: 'c1',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Bonjour' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
};
const chat = (content: string) => ({ model: 'lab/any', messages: [{ role: 'user' as const, content }] });

const log: Line[] = [];
const held: ServerResponse[] = [];
let space: LiveSpace;

beforeAll(async () => {
  space = await startLiveSpace({
    provider: { concurrency: 2 },
    config: { tenants: { bob: { liveCallsAtOnce: 1 } } },
    env: { LOG_LEVEL: 'error' },
    onLog: (text) => log.push(JSON.parse(text) as Line),
  });
});
afterAll(() => space.close());

const hold = (): void => space.provider.answerWith((_request, response) => void held.push(response));
const answer = (response: ServerResponse): void =>
  void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(completion));

const lane = async (): Promise<Line> => {
  const { data } = (await (await space.request('/v1/lanes')).json()) as { data: Line[] };
  return data.find(({ id }) => id === 'lab') ?? {};
};
/** The value of a metric whose name and labels match; 0 while it is not there. */
const metric = async (pattern: RegExp): Promise<number> => {
  const text = await (await space.request('/metrics')).text();
  return Number(
    text
      .split('\n')
      .find((line) => pattern.test(line))
      ?.split(' ')
      .at(-1) ?? 0,
  );
};

it('live calls and batch requests are told apart: in lanes, in metrics and on the Board', async () => {
  hold();
  const calls = [1, 2, 3].map((i) => space.alice.chat.completions.create(chat(`Live ${i}`)));
  await expect.poll(lane).toMatchObject({ in_flight: 2, live_in_flight: 2, live_waiting: 1, waiting: 1 });
  const line = { custom_id: 'a', method: 'POST', url: '/v1/chat/completions', body: chat('Batch') };
  const file = await space.alice.files.create({ file: await inputFile(JSON.stringify(line)), purpose: 'batch' });
  await space.alice.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  await expect.poll(lane).toMatchObject({ in_flight: 2, live_in_flight: 2, live_waiting: 1, waiting: 2 });
  expect(
    await metric(/lane_requests\{.*state="live_waiting".*lane="lab"|lane_requests\{.*lane="lab".*live_waiting/),
  ).toBe(1);
  expect(await metric(/^promptmill_live_calls_waiting/)).toBe(3);

  const headers = { authorization: `Basic ${Buffer.from(`${board.user}:${board.password}`).toString('base64')}` };
  const shown = await (
    await fetch(`${space.url}/admin/queues/api/queues?activeQueue=lab&status=active`, { headers })
  ).text();
  expect(shown).toContain('alice/live');
  for (const secret of [...Object.values(keys), 'sk-of-the-lab', board.password]) expect(shown).not.toContain(secret);

  space.provider.answerWith((_request, response) => answer(response));
  for (const response of held.splice(0)) answer(response);
  await Promise.all(calls);
  await expect.poll(lane).toMatchObject({ in_flight: 0, live_in_flight: 0, live_waiting: 0, waiting: 0 });
  expect(await metric(/^promptmill_live_calls_waiting/)).toBe(0);
  expect(await metric(/live_calls_total\{.*outcome="answered"/)).toBe(3);
  expect(await metric(/^promptmill_live_wait_seconds_count/)).toBe(3);
  // The third waited for one of the others, which took as long as the batch took to make.
  expect(await metric(/^promptmill_live_wait_seconds_sum/)).toBeGreaterThan(0.02);
});

it('a caller who hangs up is counted as such', async () => {
  hold();
  const leave = new AbortController();
  const call = space.alice.chat.completions.create(chat('Bye'), { signal: leave.signal }).catch(() => 'left');
  await expect.poll(() => held.length).toBe(1);
  leave.abort();
  expect(await call).toBe('left');
  await expect.poll(() => metric(/live_calls_total\{.*outcome="hung_up"/)).toBe(1);
  held.splice(0);
});

it('refusals are audited as those of any request; calls, and refusals of a provider, are not', async () => {
  const audits = (): Line[] => log.filter(({ audit }) => audit === true);
  hold();
  const first = space.bob.chat.completions.create(chat('One'));
  await expect.poll(() => held.length).toBe(1);
  await expect(space.bob.chat.completions.create(chat('Two'))).rejects.toMatchObject({ status: 429 });
  for (const response of held.splice(0)) answer(response);
  await first;
  space.provider.answerJson(403, { error: { message: 'not this one', code: 'moderated' } });
  await expect(space.bob.chat.completions.create(chat('Three'))).rejects.toMatchObject({ status: 403 });
  await expect
    .poll(() => audits().filter(({ tenant }) => tenant === 'bob'))
    .toMatchObject([
      {
        action: 'access',
        outcome: 'refused',
        status: 429,
        code: 'too_many_live_calls',
        route: '/v1/chat/completions',
      },
    ]);
  expect(audits().filter(({ route, tenant }) => route === '/v1/chat/completions' && tenant === 'alice')).toEqual([]);
});
