import { expect, it } from 'vitest';
import { createTenants, tenantsConfig } from './tenant-config.ts';

it('gives a tenant the weight of its own entry, else of `default`, else 1', () => {
  const { weightOf } = createTenants(tenantsConfig.parse({ acme: { weight: 3 } }));
  expect([weightOf('acme'), weightOf('other'), weightOf('constructor')]).toEqual([3, 1, 1]);
  expect(createTenants({ default: { weight: 0.5 }, acme: {} }).weightOf('acme')).toBe(0.5);
});

it.each([0, -1, 1000, '3'])('refuses the weight %j', (weight) => {
  expect(tenantsConfig.safeParse({ acme: { weight } }).success).toBe(false);
});
