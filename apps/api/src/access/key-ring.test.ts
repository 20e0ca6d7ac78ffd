import { newApiKey } from '@promptmill/core';
import { describe, expect, it } from 'vitest';
import { createKeyRing } from './key-ring.ts';

let nowMs = 1_000_000;
const now = () => nowMs;
const make = (more: { tenant?: string; expiresAt?: number } = {}) =>
  newApiKey({ tenant: 'ada', admin: false, createdAt: 1, ...more });

const open = (mayBeKeyless = true) => createKeyRing({ apiKeys: [], mayBeKeyless, now });

describe('an api without keys', () => {
  it('serves anyone until the first key is stored, and never again', () => {
    const ring = open();
    expect(ring.anyone()).toBeUndefined();
    ring.update({ keys: [], unreadable: [] }, false);
    const anyone = ring.anyone();
    expect(anyone).toMatchObject({ tenant: 'local', admin: false });

    ring.update({ keys: [make().record], unreadable: [] }, false);
    expect([ring.anyone(), anyone?.ended.aborted]).toEqual([undefined, true]);
    ring.update({ keys: [], unreadable: [] }, false);
    expect(ring.anyone()).toBeUndefined();
  });

  it.each([
    ['only revoked keys are stored', { keys: [{ ...make().record, revokedAt: 1 }], unreadable: [] }],
    ['a stored key cannot be read', { keys: [], unreadable: ['api-keys/x.json'] }],
  ])('serves nobody when %s', (_, stored) => {
    const ring = open();
    ring.update(stored, false);
    expect([ring.anyone(), ring.hasStoredKeys()]).toEqual([undefined, true]);
  });

  it('serves nobody before Redis says that there never was a key, nor after it says that there was one', () => {
    const ring = open();
    const none = { keys: [], unreadable: [] };
    ring.update(none, undefined);
    expect([ring.anyone(), ring.find('key')]).toEqual([undefined, { kind: 'unread' }]);
    ring.update(none, false);
    ring.update(none, undefined);
    expect([ring.anyone()?.tenant, ring.hasLostKeys()]).toEqual(['local', false]);
    ring.update(none, true);
    expect([ring.anyone(), ring.hasLostKeys()]).toEqual([undefined, true]);
  });

  it('serves nobody where others could reach it', () => {
    const ring = open(false);
    ring.update({ keys: [], unreadable: [] }, false);
    expect([ring.anyone(), ring.hasStoredKeys()]).toEqual([undefined, false]);
  });
});

describe('a stored key', () => {
  it('opens the api until it is revoked, and what it has open then ends', () => {
    const ring = open();
    ring.update({ keys: [], unreadable: [] }, false);
    const { key, record } = make();
    expect(ring.update({ keys: [record], unreadable: [] }, false)).toEqual([{ action: 'key.create', stored: record }]);
    expect(ring.update({ keys: [record], unreadable: [] }, false)).toEqual([]);
    const found = ring.find(key);
    expect(found).toMatchObject({ kind: 'known', caller: { tenant: 'ada', key: record.prefix } });
    expect(ring.activeKeys()).toEqual(new Map([['ada', 1]]));

    const revoked = { ...record, revokedAt: 2 };
    expect(ring.update({ keys: [revoked], unreadable: [] }, false)).toMatchObject([{ action: 'key.revoke' }]);
    expect(ring.update({ keys: [revoked], unreadable: [] }, false)).toEqual([]);
    expect(ring.find(key)).toEqual({ kind: 'revoked' });
    expect(found.kind === 'known' && found.caller.ended.aborted).toBe(true);
    expect(ring.activeKeys()).toEqual(new Map());
  });

  it('opens nothing from the moment at which it expires', () => {
    const ring = open();
    const { key, record } = make({ expiresAt: 1001 });
    ring.update({ keys: [record], unreadable: [] }, false);
    const found = ring.find(key);
    expect(ring.endExpired()).toEqual([]);
    nowMs = 1_001_000;
    expect(ring.find(key)).toEqual({ kind: 'expired' });
    expect(ring.endExpired()).toMatchObject([{ action: 'key.expire' }]);
    expect(ring.endExpired()).toEqual([]);
    expect(found.kind === 'known' && found.caller.ended.aborted).toBe(true);
  });

  it('is gone when its file is', () => {
    const ring = open();
    const { key, record } = make();
    ring.update({ keys: [record], unreadable: [] }, false);
    expect(ring.update({ keys: [], unreadable: [] }, false)).toMatchObject([{ action: 'key.revoke' }]);
    expect(ring.find(key)).toEqual({ kind: 'unknown' });
  });
});
