import { afterEach, describe, expect, it, vi } from 'vitest';
import { isRedisAway, withinSilence } from './redis-guard.ts';

describe('isRedisAway', () => {
  it.each([
    new Error('Connection is closed.'),
    new Error('Command timed out'),
    new Error("Stream isn't writeable and enableOfflineQueue options is false"),
    new Error('LOADING Redis is loading the dataset in memory'),
    new Error("OOM command not allowed when used memory > 'maxmemory'."),
    Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
    Object.assign(new Error('Reached the max retries'), { name: 'MaxRetriesPerRequestError' }),
  ])('%s', (error) => {
    expect(isRedisAway(error)).toBe(true);
  });

  it.each([new Error('WRONGTYPE Operation against a key'), new TypeError('x is not a function'), 'Command timed out'])(
    'not %s',
    (error) => {
      expect(isRedisAway(error)).toBe(false);
    },
  );
});

describe('within the time for the queue', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('settles as the queue does', async () => {
    expect(await withinSilence(Promise.resolve(1), () => Infinity)).toBe(1);
    await expect(withinSilence(Promise.reject(new Error('no')), () => Infinity)).rejects.toThrow('no');
  });

  it('ends within 2 s of the last answer of Redis', async () => {
    vi.useFakeTimers();
    const lastAnswerMs = 5000;
    let isOver = false;
    const work = withinSilence(new Promise(() => {}), () => Math.max(0, Date.now() - startedMs - lastAnswerMs));
    const startedMs = Date.now();
    const over = work.catch((error: unknown) => {
      isOver = true;
      return error;
    });
    await vi.advanceTimersByTimeAsync(lastAnswerMs + 1000);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1000);
    expect(isOver).toBe(true);
    expect(await over).toMatchObject({ status: 503 });
  });
});
