import { expect, it } from 'vitest';
import type { Lane } from '../api/answers.ts';
import { describeLimits, describeWaiting, isChanged, isInUse, parseLimit, rateOf, wordFor } from './lane-words.ts';

const unlimited = { concurrency: null, requests_per_minute: null, requests_per_second: null, tokens_per_minute: null };
const laneWith = (more: Partial<Lane> = {}): Lane => ({
  id: 'xai',
  provider: 'xai',
  has_key: true,
  deployments: [],
  in_flight: 0,
  allowed: 50,
  waiting: 0,
  live_in_flight: 0,
  live_waiting: 0,
  held_until: null,
  reason: null,
  tokens_this_minute: null,
  limits: unlimited,
  configured_limits: unlimited,
  last_errors: [],
  ...more,
});

it.each([
  [{}, 'Idle'],
  [{ in_flight: 1 }, 'Working'],
  [{ waiting: 1, held_until: 9 }, 'Held'],
  [{ has_key: false, waiting: 1 }, 'No key'],
])('a lane with %o is called %s', (more, word) => {
  expect(wordFor(laneWith(more)).word).toBe(word);
});

it('a lane without a key is in use as long as it has requests', () => {
  expect([{}, { has_key: false }, { has_key: false, waiting: 1 }].map((more) => isInUse(laneWith(more)))).toEqual([
    true,
    false,
    true,
  ]);
});

it('tells live calls from requests of batches', () => {
  expect(describeWaiting(laneWith({ waiting: 1340 }))).toBe('1,340');
  expect(describeWaiting(laneWith({ waiting: 1340, live_waiting: 40 }))).toBe('1,300 of batches, 40 live');
});

it('tells limits in words', () => {
  expect(describeLimits(unlimited)).toEqual([]);
  expect(describeLimits({ ...unlimited, concurrency: 1, requests_per_second: 0.5 })).toEqual([
    '1 call in flight',
    '0.5 requests a second',
  ]);
  expect(describeLimits({ ...unlimited, requests_per_minute: 480, tokens_per_minute: 2_000_000 })).toEqual([
    '480 requests a minute',
    '2M tokens a minute',
  ]);
});

it('knows what an admin has changed, and in which unit', () => {
  const changed = laneWith({ limits: { ...unlimited, requests_per_second: 5 } });
  expect([isChanged(laneWith()), isChanged(changed)]).toEqual([false, true]);
  expect([rateOf(laneWith()), rateOf(changed)]).toEqual(['requests_per_minute', 'requests_per_second']);
});

it.each([
  ['', true, null],
  [' 1,200 ', true, 1200],
  ['0.5', false, 0.5],
  ['0.5', true, undefined],
  ['0', true, undefined],
  ['-3', true, undefined],
  ['many', true, undefined],
  ['1e12', true, undefined],
])('reads the limit %j', (text, isWhole, limit) => {
  expect(parseLimit(text, isWhole)).toBe(limit);
});
