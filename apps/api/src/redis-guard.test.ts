import { describe, expect, it } from 'vitest';
import { isRedisAway, withinQueueTimeout } from './redis-guard.ts';

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

it('settles as the queue does', async () => {
  expect(await withinQueueTimeout(Promise.resolve(1))).toBe(1);
  await expect(withinQueueTimeout(Promise.reject(new Error('no')))).rejects.toThrow('no');
});
