import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createLifecycle } from './lifecycle.ts';
import { createLogger } from './logger.ts';

const logger = createLogger({ level: 'silent', role: 'test' });

it('closes each part once, one after the other, in the order in which they were added', async () => {
  const life = createLifecycle(logger);
  const events: string[] = [];
  life.add('http server', async () => {
    events.push('stopping http');
    await setImmediate();
    events.push(`stopped ${life.closing()}`);
  });
  life.add('redis', () => void events.push('redis'));
  await Promise.all([life.close(), life.close()]);
  expect(events).toEqual(['stopping http', 'stopped http server', 'redis']);
  expect(life.closing()).toBeUndefined();
});

it('closes the other parts when one fails, and names the one that failed', async () => {
  const life = createLifecycle(logger);
  let closed = false;
  life.add('worker', () => Promise.reject(new Error('stuck')));
  life.add('redis', () => {
    closed = true;
  });
  await expect(life.close()).rejects.toThrow('could not close: worker');
  expect(closed).toBe(true);
});
