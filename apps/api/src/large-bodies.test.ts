import { expect, it } from 'vitest';
import { createLargeBodies } from './large-bodies.ts';

const never = new AbortController().signal;
const create = (more: Partial<Parameters<typeof createLargeBodies>[0]> = {}) =>
  createLargeBodies({ maxBytes: 10, maxTenantBytes: 6, maxWaitMs: 5, maxWaiting: 2, ...more });

it('lets bodies in up to a tenant’s share, then up to the share of all', async () => {
  const bodies = create();
  await bodies.enter('a', 4, never);
  await bodies.enter('a', 2, never);
  await expect(bodies.enter('a', 1, never)).rejects.toMatchObject({
    status: 429,
    code: 'too_many_large_bodies',
    retryAfterSeconds: 1,
    message: expect.stringMatching(/ 6 bytes.* 1\b/),
  });
  await bodies.enter('b', 4, never);
  await expect(bodies.enter('b', 1, never)).rejects.toMatchObject({ status: 503, retryAfterSeconds: 1 });
});

it('gives room that a body leaves to those that wait, in their order', async () => {
  const bodies = create({ maxWaitMs: 60_000 });
  const leave = await bodies.enter('a', 6, never);
  await bodies.enter('b', 4, never);
  const entered: string[] = [];
  const wait = async (name: string, tenant: string, bytes: number) => {
    const done = await bodies.enter(tenant, bytes, never);
    entered.push(name);
    return done;
  };
  const first = wait('first', 'a', 3);
  const second = wait('second', 'c', 3);
  leave();
  leave();
  await Promise.all([first, second]);
  expect(entered).toEqual(['first', 'second']);
  const third = wait('third', 'c', 1);
  (await first)();
  await third;
});

it('lets a small one in before a larger one that finds no room', async () => {
  const bodies = create({ maxWaitMs: 60_000 });
  await bodies.enter('a', 6, never);
  const leave = await bodies.enter('b', 2, never);
  const gone = new AbortController();
  const large = bodies.enter('c', 6, gone.signal);
  const small = bodies.enter('c', 4, never);
  leave();
  await small;
  gone.abort();
  await expect(large).rejects.toMatchObject({ status: 429 });
});

it('refuses at once when many of a tenant wait already, and forgets who is gone', async () => {
  const bodies = create({ maxWaitMs: 60_000 });
  await bodies.enter('a', 6, never);
  const gone = new AbortController();
  const waiting = [1, 2].map(() => bodies.enter('a', 1, gone.signal));
  await expect(bodies.enter('a', 1, never)).rejects.toMatchObject({ status: 429 });
  await bodies.enter('b', 4, never);
  gone.abort();
  for (const each of waiting) await expect(each).rejects.toMatchObject({ status: 429 });
});
