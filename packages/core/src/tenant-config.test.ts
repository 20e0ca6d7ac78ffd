import { describe, expect, it } from 'vitest';
import { createTenants, limitsCost, mayUseModel, tenantsConfig } from './tenant-config.ts';

describe('the limits of tenants', () => {
  it('are those of the tenant, then those of `default`, then the built-in ones', () => {
    const tenants = createTenants({ default: { activeBatches: 5, uploadsAtOnce: 3 }, acme: { activeBatches: 10 } });
    expect(tenants.limitsOf('acme')).toEqual({
      activeBatches: 10,
      uploadsAtOnce: 3,
      eventStreamsAtOnce: 100,
      liveCallsAtOnce: 10_000,
    });
    expect(tenants.limitsOf('other')).toEqual({
      activeBatches: 5,
      uploadsAtOnce: 3,
      eventStreamsAtOnce: 100,
      liveCallsAtOnce: 10_000,
    });
    expect(createTenants({}).limitsOf('constructor')).toEqual({
      uploadsAtOnce: 100,
      eventStreamsAtOnce: 100,
      liveCallsAtOnce: 10_000,
    });
  });

  it('can be replaced', () => {
    const tenants = createTenants({});
    expect(tenants.limitCalls()).toBe(false);
    tenants.replace({ acme: { tokensPerMinute: 10 } });
    expect([tenants.limitCalls(), tenants.limitTokens()]).toEqual([true, true]);
    expect(tenants.limitsOf('acme').tokensPerMinute).toBe(10);
  });

  it('may be of the cost', () => {
    const tenants = createTenants({ acme: { usdPerMonth: 10 } });
    expect([tenants.limitCosts(), tenants.limitCalls()]).toEqual([true, false]);
    expect([limitsCost(tenants.limitsOf('acme')), limitsCost(tenants.limitsOf('other'))]).toEqual([true, false]);
  });

  it('are checked, and unknown ones are refused', () => {
    expect(tenantsConfig.safeParse({ acme: { concurrency: 0 } }).success).toBe(false);
    expect(tenantsConfig.safeParse({ acme: { usdPerDay: 0 } }).success).toBe(false);
    expect(tenantsConfig.safeParse({ acme: { speed: 1 } }).success).toBe(false);
    expect(tenantsConfig.safeParse({ acme: { models: ['x*i/grok'] } }).success).toBe(false);
    expect(tenantsConfig.safeParse({ acme: { models: ['xai/grok-*', 'openai'] } }).success).toBe(true);
  });
});

describe('the weight of a tenant', () => {
  it('is that of its own entry, else of `default`, else 1', () => {
    const { weightOf } = createTenants(tenantsConfig.parse({ acme: { weight: 3 } }));
    expect([weightOf('acme'), weightOf('other'), weightOf('constructor')]).toEqual([3, 1, 1]);
    expect(createTenants({ default: { weight: 0.5 }, acme: {} }).weightOf('acme')).toBe(0.5);
  });

  it.each([0, -1, 1000, '3'])('is not %j', (weight) => {
    expect(tenantsConfig.safeParse({ acme: { weight } }).success).toBe(false);
  });
});

describe('the models of a tenant', () => {
  it.each([
    [undefined, 'xai/grok-4', true],
    [['xai'], 'xai/grok-4', true],
    [['xai'], 'xai2/grok-4', false],
    [['xai/grok-4'], 'xai/grok-4', true],
    [['xai/grok-4'], 'xai/grok-4-mini', false],
    [['openai', 'xai/grok-*'], 'xai/grok-4-mini', true],
    [['*'], 'xai/grok-4', true],
    [[], 'xai/grok-4', false],
  ])('%j: %s is %s', (models, model, expected) => {
    expect(mayUseModel(models ? { models } : {}, model)).toBe(expected);
  });
});
