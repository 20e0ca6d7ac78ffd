import { describe, expect, it } from 'vitest';
import { createKeyRing, localTenant } from './access/key-ring.ts';
import { createAuthenticate } from './authenticate.ts';

const ringOf = (apiKeys: Parameters<typeof createKeyRing>[0]['apiKeys']) => {
  const ring = createKeyRing({ apiKeys, mayBeKeyless: true, now: Date.now });
  ring.update({ keys: [], unreadable: [] }, false);
  return ring;
};

describe('with keys', () => {
  const authenticate = createAuthenticate(
    ringOf([
      { tenant: 'alice', key: 'key-of-alice' },
      { tenant: 'bob', key: 'key-of-bob' },
      { tenant: 'alice', key: 'second-key-of-alice' },
      { tenant: 'admin', key: 'key-of-admin', admin: true },
    ]),
  );

  it.each([
    ['Bearer key-of-alice', { tenant: 'alice', admin: false, key: 'env-1' }],
    ['bearer  key-of-bob ', { tenant: 'bob', admin: false, key: 'env-2' }],
    ['Bearer second-key-of-alice', { tenant: 'alice', admin: false, key: 'env-3' }],
    ['Bearer key-of-admin', { tenant: 'admin', admin: true, key: 'env-4' }],
  ])('%j is of %o', (authorization, caller) => {
    expect(authenticate(authorization)).toMatchObject(caller);
  });

  it.each(['Bearer key-of-alic', 'Bearer key-of-alice2', 'Bearer KEY-OF-BOB'])('%j is refused', (authorization) => {
    expect(() => authenticate(authorization)).toThrow(
      expect.objectContaining({ status: 401, code: 'invalid_api_key' }),
    );
  });

  it.each([undefined, '', 'Bearer', 'Bearer ', 'Basic key-of-alice', 'key-of-alice', 'Bearer a b'])(
    '%j has no key',
    (authorization) => {
      expect(() => authenticate(authorization)).toThrow(expect.objectContaining({ status: 401, code: null }));
    },
  );

  it('tells nothing of the key it refuses', () => {
    expect(() => authenticate('Bearer sk-secret')).toThrow(expect.not.stringContaining('sk-secret'));
  });
});

it('takes anyone where there are no keys', () => {
  const authenticate = createAuthenticate(ringOf([]));
  expect(authenticate(undefined)).toMatchObject({ tenant: localTenant, admin: false });
  expect(authenticate('Bearer anything').tenant).toBe(localTenant);
});

it('takes nobody but the environment’s keys until the stored ones are read', () => {
  const ring = createKeyRing({
    apiKeys: [{ tenant: 'alice', key: 'key-of-alice' }],
    mayBeKeyless: true,
    now: Date.now,
  });
  const authenticate = createAuthenticate(ring);
  expect(authenticate('Bearer key-of-alice').tenant).toBe('alice');
  expect(() => authenticate('Bearer key-of-bob')).toThrow(expect.objectContaining({ status: 503 }));
  const keyless = createAuthenticate(createKeyRing({ apiKeys: [], mayBeKeyless: true, now: Date.now }));
  expect(() => keyless('Bearer anything')).toThrow(expect.objectContaining({ status: 503 }));
});
