import { describe, expect, it } from 'vitest';
import { apiKeyRecord, digestOfKey, isKeyNote, newApiKey, prefixOfKey, stateOfKey } from './api-key.ts';
import { isTenantName } from './tenant.ts';

const terms = { tenant: 'ada', admin: false, createdAt: 1000 };

describe('a new key', () => {
  it('is its prefix and 256 random bits, of which only the SHA-256 is kept', () => {
    const { key, record } = newApiKey(terms);
    expect(key).toMatch(/^pm_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/);
    expect(key.startsWith(`${record.prefix}_`)).toBe(true);
    expect(record).toEqual({ ...terms, prefix: record.prefix, digest: digestOfKey(key) });
    expect(JSON.stringify(record)).not.toContain(key.slice(record.prefix.length + 1));
    expect(apiKeyRecord.parse(record)).toEqual(record);
  });

  it('is another one each time', () => {
    expect(new Set(Array.from({ length: 100 }, () => newApiKey(terms).record.prefix)).size).toBe(100);
  });
});

it.each([
  ['pm_0123456789ab', 'pm_0123456789ab'],
  ['0123456789ab', 'pm_0123456789ab'],
  ['pm_0123456789ab_secret', undefined],
  ['../0123456789ab', undefined],
  ['', undefined],
])('%j names the key %s', (text, prefix) => {
  expect(prefixOfKey(text)).toBe(prefix);
});

it('says what has become of a key', () => {
  const { record } = newApiKey({ ...terms, expiresAt: 2000 });
  expect(stateOfKey(record, 1_999_999)).toBe('active');
  expect(stateOfKey(record, 2_000_000)).toBe('expired');
  expect(stateOfKey({ ...record, revokedAt: 1500 }, 2_000_000)).toBe('revoked');
});

it('takes notes and names that can do no harm where they are shown', () => {
  expect([isKeyNote('CI, für Ada'), isKeyNote('x'.repeat(201)), isKeyNote('\u001b[2J'), isKeyNote('\u202e')]).toEqual([
    true,
    false,
    false,
    false,
  ]);
  expect(['ada', 'a-b_C9', '', 'a b', 'a:b', '{a}', 'x'.repeat(65)].map(isTenantName)).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
    false,
  ]);
});
