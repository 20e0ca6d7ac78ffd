import type { CallEnd, LaneAnswer, LaneHold } from '@promptmill/queue';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createLaneGate, type WantedCall } from './lane-gate.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const nothing: LaneAnswer = {
  granted: 0,
  waitMs: 100,
  waitFor: 'requests',
  atMs: 1,
  isProbe: false,
  closedForMs: 0,
  isFree: false,
  failedSources: [],
  othersWait: false,
  room: 0,
};
const never = new AbortController().signal;

const call = (estimatedTokens: number, more: Partial<WantedCall> = {}): WantedCall => ({
  batchId: 'batch_1',
  source: 'acme/batch_1',
  isLive: false,
  estimatedTokens,
  ...more,
});

type Answers = (Partial<LaneAnswer> | Error)[];

interface UpstreamOptions {
  readonly isDeployment?: boolean;
  /** How many calls it has room for. Default: for any number. */
  readonly room?: number;
  /** Whether a neutral look ends. */
  readonly looksEnd?: boolean;
}

/** An upstream that gives these answers one after another, and then admits all calls. */
const openUpstream = (name: string, answers: Answers, options: UpstreamOptions = {}) => {
  const { isDeployment = true, looksEnd = true } = options;
  let { room = 1000 } = options;
  const asked: number[][] = [];
  const named: string[] = [];
  const looks: number[] = [];
  const ends: CallEnd[] = [];
  let underWay = 0;
  const control = {
    async admit(estimatedTokens: readonly number[], _probeMs: number, source = ''): Promise<LaneAnswer> {
      asked.push([...estimatedTokens]);
      named.push(source);
      expect(++underWay).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 1));
      underWay--;
      const granted = Math.min(estimatedTokens.length, room);
      const answer = answers.shift() ?? { granted, waitFor: 'calls' };
      if (answer instanceof Error) throw answer;
      room -= answer.granted ?? 0;
      return { ...nothing, room, ...answer };
    },
    countLate: ({ grantedAtMs }: { readonly grantedAtMs: number }) => Promise.resolve(grantedAtMs),
    async reportEnd(end: CallEnd): Promise<LaneHold> {
      ends.push(end);
      const began = end.signal === 'throttled';
      return { heldUntilMs: began ? Date.now() + 500 : 0, began, atMs: 1, workedAtMs: 0, isLookDue: false };
    },
    endCall: () => {},
    tellCalls: () => Promise.resolve(),
  };
  const look = async (atMs: number): Promise<void> => {
    looks.push(atMs);
    if (!looksEnd) await new Promise(() => {});
  };
  const upstream = { name, control, isDeployment, look, timeoutMs: 1000, onHold: () => {} };
  return { upstream, asked, named, looks, ends };
};

/** A gate to a lane that gives these answers one after another, and then admits all calls. */
const openGate = (answers: Answers = []) => {
  const { upstream, ...seen } = openUpstream('lab', answers, { isDeployment: false });
  const errors: unknown[] = [];
  const stopped = new Set<string>();
  const looked: string[] = [];
  const gate = createLaneGate({
    upstreams: [upstream],
    async isRunning(batchId) {
      looked.push(batchId);
      return !stopped.has(batchId);
    },
    liveShare: 0.9,
    onError: (error) => errors.push(error),
  });
  const admitted: number[] = [];
  /** Stands in line; the call's number is in `admitted` once the call is admitted. */
  const enter = async (number: number, signal = never) => {
    const admission = await gate.admit(call(number), signal);
    if (typeof admission === 'string') throw new Error(`${number} was sent away: ${admission}`);
    if (admission) admitted.push(number);
    return admission;
  };
  return { ...seen, gate, enter, admitted, errors, stopped, looked };
};

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

test('admits many calls in the order in which they came, with one question at a time', async () => {
  const { enter, admitted, asked } = openGate([{}, { granted: 1 }, { granted: 10 }]);
  const all = Promise.all(range(0, 150).map((number) => enter(number)));
  await vi.runAllTimersAsync();
  await all;
  expect(asked.map(([first, ...rest]) => [first, rest.length + 1])).toEqual([
    // The first comes alone; the others stand in line when its question is answered.
    [0, 1],
    [0, 64],
    [1, 64],
    [11, 64],
    [75, 64],
    [139, 11],
  ]);
  expect(admitted).toEqual(range(0, 150));
});

test('asks again when it is told to, and at least once a second', async () => {
  const { enter, asked } = openGate([{ waitMs: 300 }, { waitMs: 60_000 }]);
  const admission = enter(0);
  await vi.advanceTimersByTimeAsync(299);
  expect(asked).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(10);
  expect(asked).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(1010);
  expect(await admission).toBeDefined();
});

test('a call that is given up leaves the line, and the others stay', async () => {
  const { enter, admitted } = openGate([{}]);
  const caller = new AbortController();
  const [one, two, three] = [enter(1), enter(2, caller.signal), enter(3)];
  await vi.advanceTimersByTimeAsync(50);
  caller.abort();
  expect(await two).toBeUndefined();
  await vi.runAllTimersAsync();
  expect(await one).toBeDefined();
  expect(await three).toBeDefined();
  expect(admitted).toEqual([1, 3]);
  expect(await enter(4, caller.signal)).toBeUndefined();
});

test('gives back the place of a call that was given up while the question was under way', async () => {
  const { enter, admitted, ends } = openGate([{ granted: 1, atMs: 7, isProbe: true }]);
  const caller = new AbortController();
  const both = Promise.all([enter(2, caller.signal), enter(3)]);
  caller.abort();
  await vi.runAllTimersAsync();
  await both;
  expect(admitted).toEqual([3]);
  expect(ends).toEqual([{ signal: 'unsent', grantedAtMs: 7, estimatedTokens: 2 }]);
});

test('reports the ends that are still to be reported when it is closed', async () => {
  const { gate, enter, ends } = openGate([{ granted: 1, atMs: 5 }]);
  const entering = enter(0);
  await vi.runAllTimersAsync();
  await (await entering)?.reportEnd({ signal: 'ok' });
  expect(ends).toEqual([]);
  await gate.close();
  expect(ends).toEqual([{ signal: 'ok', grantedAtMs: 5, succeededAtMs: -1, estimatedTokens: 0, count: 1 }]);
});

test('goes on after an error of Redis', async () => {
  const { enter, admitted, asked, errors } = openGate([new Error('LOADING'), new Error('LOADING')]);
  const both = Promise.all([enter(1), enter(2)]);
  await vi.advanceTimersByTimeAsync(900);
  expect([asked.length, errors.length]).toEqual([1, 1]);
  await vi.runAllTimersAsync();
  await both;
  expect(errors).toHaveLength(2);
  expect(admitted).toEqual([1, 2]);
});

const better = (when: { readonly closed: boolean }) => ({
  fallback: { isBetter: (closedForMs: number) => closedForMs > 0 === when.closed },
});

test('a call goes to its fallback when the lane is closed, at once while that is known; one without a fallback waits', async () => {
  const closed = { granted: 0, closedForMs: 1, waitMs: 30_000 };
  const { gate, enter, admitted, asked } = openGate([closed, closed]);
  const stays = enter(1);
  expect(
    await Promise.all([gate.admit(call(2, better({ closed: true })), never), vi.advanceTimersByTimeAsync(1)]),
  ).toEqual(['fallback', expect.anything()]);
  expect(await gate.admit(call(3, better({ closed: true })), never)).toBe('fallback');
  expect([asked, admitted]).toEqual([[[1]], []]);
  await vi.runAllTimersAsync();
  await stays;
  expect(admitted).toEqual([1]);
});

test('after a while a call with a fallback asks again, for the lane may be open', async () => {
  const { gate, enter } = openGate([{ granted: 0, closedForMs: 1, waitMs: 1 }]);
  const first = enter(1);
  await vi.runAllTimersAsync();
  await first;
  await vi.advanceTimersByTimeAsync(1000);
  const again = gate.admit(call(2, better({ closed: true })), never);
  await vi.runAllTimersAsync();
  expect(await again).toMatchObject({ reportEnd: expect.any(Function) });
});

test('a fallback that is better than an open lane is chosen without a question', async () => {
  const { gate, asked } = openGate();
  expect(await gate.admit(call(1, better({ closed: false })), never)).toBe('fallback');
  expect(asked).toEqual([]);
});

test('a gate that is shut admits no call, and sends waiting calls away', async () => {
  const { gate, asked } = openGate([{ granted: 0, waitMs: 60_000 }]);
  const waits = gate.admit(call(1), never);
  await vi.advanceTimersByTimeAsync(10);
  gate.shut();
  expect([await waits, await gate.admit(call(2), never)]).toEqual([undefined, undefined]);
  expect(asked).toEqual([[1]]);
});

test('asks once for a volley while nothing limits the lane, and again after a refusal', async () => {
  const { enter, asked, ends } = openGate([{ granted: 1, isFree: true, atMs: 5000 }, { granted: 1 }]);
  const first = enter(0);
  await vi.runAllTimersAsync();
  await first;
  await vi.advanceTimersByTimeAsync(10);
  const second = await enter(0);
  expect(asked).toHaveLength(1);
  const told = second?.reportEnd({ signal: 'throttled' });
  const third = enter(0);
  expect(asked).toHaveLength(2);
  await told;
  // Not later: it must not seem to follow a hold that began meanwhile.
  expect(ends.at(-1)?.grantedAtMs).toBe(5000);
  await vi.runAllTimersAsync();
  await third;
});

test.each(['before', 'while'])('a question asked %s a refusal is told gives no free pass to others', async (when) => {
  const { enter, asked } = openGate([{ granted: 1 }, { granted: 1, isFree: true }, { waitFor: 'hold', waitMs: 500 }]);
  const first = enter(0);
  await vi.advanceTimersByTimeAsync(5);
  const refused = await first;
  let second: Promise<unknown> | undefined;
  if (when === 'before') second = enter(1);
  const told = refused?.reportEnd({ signal: 'throttled' });
  if (when === 'while') second = enter(1);
  await told;
  await vi.advanceTimersByTimeAsync(5);
  expect(await second).toBeDefined();
  const third = enter(2);
  await vi.advanceTimersByTimeAsync(5);
  expect(asked).toEqual([[0], [1], [2]]);
  await vi.runAllTimersAsync();
  expect(await third).toBeDefined();
});

test('a call that waits for a held lane is sent away within a second when its batch wants no call; the others stay', async () => {
  const held = { granted: 0, waitFor: 'hold', waitMs: 60_000 } as const;
  const { gate, enter, looked, stopped, admitted } = openGate([held, held, held]);
  const [first, second, other] = [
    gate.admit(call(0, { batchId: 'batch_2' }), never),
    gate.admit(call(0, { batchId: 'batch_2' }), never),
    enter(3),
  ];
  await vi.advanceTimersByTimeAsync(1500);
  expect(looked).toEqual(['batch_2', 'batch_1']);
  stopped.add('batch_2');
  await vi.advanceTimersByTimeAsync(1000);
  expect(await Promise.all([first, second])).toEqual(['unwanted', 'unwanted']);
  await vi.runAllTimersAsync();
  await other;
  expect(admitted).toEqual([3]);
});

test('no batch is looked at while calls are admitted within a second', async () => {
  const { enter, looked } = openGate([{ granted: 1, waitMs: 900 }]);
  const both = Promise.all([enter(1), enter(2)]);
  await vi.runAllTimersAsync();
  await both;
  expect(looked).toEqual([]);
});

const enterSources = ({ gate }: Pick<ReturnType<typeof openGate>, 'gate'>, sources: readonly string[]) =>
  sources.map((source, number) => gate.admit(call(number, { source }), never));

test('the probe of a held lane is of a source that has not failed, else of the one that failed longest ago', async () => {
  const held = { granted: 0, waitFor: 'source', waitMs: 1, failedSources: ['c', 'a'] } as const;
  const probe = { granted: 1, isProbe: true, failedSources: ['c', 'a'] };
  const opened = openGate([held, probe, { ...probe, failedSources: ['c', 'a', 'b'] }]);
  const calls = enterSources(opened, ['a', 'b', 'c']);
  await vi.runAllTimersAsync();
  await Promise.all(calls);
  expect(opened.named.slice(0, 3)).toEqual(['', 'b', 'c']);
});

test('the probe of a held lane is first of a tenant of which none has failed', async () => {
  const held = { granted: 0, waitFor: 'source', waitMs: 1, failedSources: ['one/x'] } as const;
  const probe = { granted: 1, isProbe: true, failedSources: ['one/x'] };
  const opened = openGate([held, probe, probe]);
  const calls = enterSources(opened, ['one/a', 'two/b']);
  await vi.runAllTimersAsync();
  await Promise.all(calls);
  expect(opened.named.slice(0, 3)).toEqual(['', 'two/b', 'one/a']);
});

test('a held lane is asked for all calls of a tenant of which none has failed', async () => {
  const held = { granted: 0, waitFor: 'source', waitMs: 1, failedSources: ['one/x'] } as const;
  const opened = openGate([held, { granted: 2, isProbe: true, failedSources: ['one/x'] }]);
  const calls = enterSources(opened, ['one/a', 'two/b', 'one/c', 'two/d']);
  await vi.runAllTimersAsync();
  await Promise.all(calls);
  expect(opened.named.slice(0, 2)).toEqual(['', 'two/b']);
  expect(opened.asked[1]).toEqual([1, 3]);
});

test('calls that wait for a held lane give their places at once to a tenant of which none has failed', async () => {
  const failedSources = ['one/x'];
  const held = { granted: 0, waitFor: 'source', waitMs: 1, failedSources } as const;
  const opened = openGate([held, { granted: 0, waitFor: 'hold', waitMs: 60_000, failedSources, othersWait: true }]);
  const [probe, ...others] = enterSources(opened, ['one/a', 'one/x', 'one/x', 'one/x']);
  await vi.advanceTimersByTimeAsync(10);
  expect(await Promise.all(others)).toEqual(['later', 'later', 'later']);
  await vi.runAllTimersAsync();
  expect(await probe).toBeTypeOf('object');
});

test('a lane that asks for a neutral look is asked again after it', async () => {
  const opened = openGate([{ granted: 0, waitFor: 'look', waitMs: 0, atMs: 7 }]);
  const entered = opened.enter(1);
  await vi.runAllTimersAsync();
  await entered;
  expect([opened.looks, opened.asked.length]).toEqual([[7], 2]);
});

test.each([
  ['a source that has failed', 'one/a'],
  ['another source of its tenant', 'one/b'],
])('while all calls that wait are of %s, ten a second give their places to others', async (_, source) => {
  const held = { granted: 0, waitFor: 'hold', waitMs: 60_000, failedSources: ['one/a'] } as const;
  const opened = openGate(Array.from({ length: 8 }, () => held));
  const settled: unknown[] = [];
  for (const entrance of enterSources(
    opened,
    Array.from({ length: 20 }, () => source),
  ))
    void entrance.then((outcome) => settled.push(outcome));
  await vi.advanceTimersByTimeAsync(1500);
  expect(settled).toEqual(Array.from({ length: 10 }, () => 'later'));
  await vi.runAllTimersAsync();
});

/** A gate to a lane of two deployments that give these answers, and then admit all calls. */
const openPool = (east: Answers, west: Answers, eastIs: UpstreamOptions = {}, westIs: UpstreamOptions = {}) => {
  const upstreams = { east: openUpstream('east', east, eastIs), west: openUpstream('west', west, westIs) };
  const gate = createLaneGate({
    upstreams: [upstreams.east.upstream, upstreams.west.upstream],
    isRunning: () => Promise.resolve(true),
    liveShare: 0.9,
    onError: (error) => expect.fail(String(error)),
  });
  const exits: string[] = [];
  const enter = async (number: number, more: Partial<WantedCall> = {}) => {
    const admission = await gate.admit(call(number, more), never);
    exits.push(typeof admission === 'object' ? admission.upstream : String(admission));
    return admission;
  };
  return { ...upstreams, gate, enter, exits, close: () => gate.close() };
};

const countOf = (exits: readonly string[], upstream: string): number =>
  exits.filter((each) => each === upstream).length;

/** Waits until all of these calls are admitted. */
const enterAll = async ({ enter, close }: ReturnType<typeof openPool>, count: number): Promise<void> => {
  const all = Promise.all(range(0, count).map((number) => enter(number)));
  await vi.advanceTimersByTimeAsync(5000);
  await all;
  await close();
};

describe('a lane with two deployments', () => {
  test('shares calls by the room that each has', async () => {
    const pool = openPool([], [], { room: 30 }, { room: 60 });
    await enterAll(pool, 60);
    const left = [30 - countOf(pool.exits, 'east'), 60 - countOf(pool.exits, 'west')];
    expect(left.map((room) => Math.abs(room - 15) < 5)).toEqual([true, true]);
  });

  test('asks no two deployments for the same call, and goes on where one admits none for now', async () => {
    const full = { granted: 0, waitMs: 60_000, waitFor: 'requests' } as const;
    const pool = openPool([full], []);
    await enterAll(pool, 20);
    expect(countOf(pool.exits, 'west')).toBe(20);
    expect(pool.east.asked).toHaveLength(1);
  });

  test('goes on while one waits for a neutral look', async () => {
    const pool = openPool([{ granted: 0, waitMs: 0, waitFor: 'look' }], [], { looksEnd: false });
    await enterAll(pool, 20);
    expect(countOf(pool.exits, 'west')).toBe(20);
  });

  test('asks a held one for its probe first, once that is due', async () => {
    const held = { granted: 0, waitMs: 300, waitFor: 'hold' } as const;
    const others = { granted: 0, waitMs: 9000, waitFor: 'probe' } as const;
    const pool = openPool([held, { granted: 1, isProbe: true, waitFor: '' }, others, others], []);
    await enterAll(pool, 4);
    expect(pool.exits).toEqual(['west', 'west', 'west', 'west']);
    const two = Promise.all([pool.enter(5), pool.enter(6)]);
    await vi.advanceTimersByTimeAsync(50);
    await two;
    expect(pool.exits.slice(4)).toEqual(['east', 'west']);
  });

  test('is closed only when both are', async () => {
    const closed = { granted: 0, closedForMs: 1, waitMs: 30_000, waitFor: 'hold' } as const;
    const open = { granted: 0, waitMs: 900, waitFor: 'requests' } as const;
    const pool = openPool([closed, closed, closed], [open, closed, closed]);
    const waits = pool.enter(1, better({ closed: true }));
    await vi.advanceTimersByTimeAsync(800);
    expect(pool.exits).toEqual([]);
    await vi.advanceTimersByTimeAsync(300);
    expect(await waits).toBe('fallback');
    await pool.close();
  });

  test('takes a request where it has not failed, and where it has while the other is held', async () => {
    const held = { granted: 0, waitMs: 30_000, waitFor: 'hold' } as const;
    const pool = openPool([], [{ granted: 1 }, held]);
    const avoid = new Set(['east']);
    expect(pool.gate.hasOther(avoid)).toBe(true);
    for (const number of [1, 2]) {
      const entered = pool.enter(number, { avoid });
      await vi.advanceTimersByTimeAsync(20);
      await entered;
    }
    expect(pool.exits).toEqual(['west', 'east']);
    expect([pool.gate.hasOther(avoid), pool.gate.hasOther(new Set())]).toEqual([false, true]);
    await pool.close();
  });

  test('sleeps while the only one that a call may go to admits none', async () => {
    const pool = openPool([], [{ granted: 0, waitMs: 900, waitFor: 'requests' }, { granted: 1 }]);
    const waits = pool.enter(1, { avoid: new Set(['east']) });
    await vi.advanceTimersByTimeAsync(10);
    const sleeps = vi.spyOn(globalThis, 'setTimeout');
    await vi.advanceTimersByTimeAsync(800);
    expect(sleeps.mock.calls.length).toBeLessThan(3);
    sleeps.mockRestore();
    await vi.advanceTimersByTimeAsync(200);
    await waits;
    expect(pool.exits).toEqual(['west']);
    await pool.close();
  });

  test('asks a full one again as soon as one of its calls has ended', async () => {
    const full = { granted: 0, waitMs: 250, waitFor: 'calls' } as const;
    const pool = openPool([{ granted: 1, room: 0 }, full], [full, full, full, full]);
    const first = pool.enter(1);
    await vi.advanceTimersByTimeAsync(10);
    const second = pool.enter(2);
    await vi.advanceTimersByTimeAsync(10);
    expect(pool.exits).toEqual(['east']);
    const admission = await first;
    if (typeof admission === 'object') await admission.reportEnd({ signal: 'ok' });
    await vi.advanceTimersByTimeAsync(10);
    await second;
    expect(pool.exits).toEqual(['east', 'east']);
    await pool.close();
  });
});
