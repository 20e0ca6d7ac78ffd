import { expect, it } from 'vitest';
import { createSession } from './session.ts';

const alice = { tenant: 'alice', admin: false };

const sessionWith = (kept: Record<string, string>, wantsKey = true) => {
  const stored = new Map(Object.entries(kept));
  const storage = {
    getItem: (name: string) => stored.get(name) ?? null,
    setItem: (name: string, value: string) => void stored.set(name, value),
    clear: () => stored.clear(),
  };
  return { session: createSession({ wantsKey, storage }), stored };
};

it('asks for a key where one is wanted and none is kept', async () => {
  const { session } = sessionWith({});
  await session.begin(async () => alice);
  expect(session.state.value).toEqual({ kind: 'signed out' });
});

it('asks for nothing where no key is wanted', async () => {
  const { session } = sessionWith({}, false);
  await session.begin(async () => alice);
  expect(session.state.value).toEqual({ kind: 'signed in', caller: alice });
  expect(session.hasKey()).toBe(false);
});

it('keeps a key for the tab, until someone signs out', async () => {
  const { session, stored } = sessionWith({});
  session.signIn('key-1', alice);
  expect([session.keyOf(), [...stored.values()]]).toEqual(['key-1', ['key-1']]);
  session.signOut();
  expect([session.keyOf(), stored.size, session.state.value]).toEqual([undefined, 0, { kind: 'signed out' }]);
});

it('forgets a key that is refused, and says so', async () => {
  const { session, stored } = sessionWith({ 'promptmill-key': 'key-1' });
  await session.begin(async () => alice);
  session.refuse();
  expect(stored.size).toBe(0);
  expect(session.state.value).toMatchObject({ kind: 'signed out', problem: expect.stringContaining('not accepted') });
});
