import { describe, expect, it } from 'vitest';
import { createAuthenticate, localTenant } from './authenticate.ts';

describe('with keys', () => {
  const authenticate = createAuthenticate([
    { tenant: 'alice', key: 'key-of-alice' },
    { tenant: 'bob', key: 'key-of-bob' },
    { tenant: 'alice', key: 'second-key-of-alice' },
  ]);

  it.each([
    ['Bearer key-of-alice', 'alice'],
    ['bearer  key-of-bob ', 'bob'],
    ['Bearer second-key-of-alice', 'alice'],
  ])('%j is of %s', (authorization, tenant) => {
    expect(authenticate(authorization)).toBe(tenant);
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

it('takes anyone where no keys are configured', () => {
  const authenticate = createAuthenticate([]);
  expect(authenticate(undefined)).toBe(localTenant);
  expect(authenticate('Bearer anything')).toBe(localTenant);
});
