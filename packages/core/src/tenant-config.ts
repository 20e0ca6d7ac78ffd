import { z } from 'zod';
import { maxUsd } from './prices.ts';

const count = z.int().positive();

const tenantConfig = z.strictObject({
  /** The tenant's share of a lane, as a multiple of another's. Default 1. */
  weight: z.number().min(0.01).max(100).optional(),
  /** Requests of batches that have not ended. */
  queuedRequests: count.optional(),
  /** Batches that have not ended. */
  activeBatches: count.optional(),
  /** Bytes of all files, those that batches made and those that are being uploaded included. */
  storedBytes: count.optional(),
  /** Files that are being uploaded. Default 100. */
  uploadsAtOnce: count.optional(),
  /** Event streams that are open. Default 100. */
  eventStreamsAtOnce: count.optional(),
  /** Live calls that wait for their answers. Default 10,000. */
  liveCallsAtOnce: count.optional(),
  /** Calls a minute at all providers together. */
  requestsPerMinute: count.optional(),
  /** Input and output tokens a minute at all providers together. */
  tokensPerMinute: count.optional(),
  /** Calls in flight at all providers together. */
  concurrency: count.optional(),
  /** USD for calls of a day (UTC), at all providers together. */
  usdPerDay: z.number().positive().max(maxUsd).optional(),
  /** USD for calls of a month (UTC), at all providers together. */
  usdPerMonth: z.number().positive().max(maxUsd).optional(),
  /** Models the tenant may use: `provider`, `provider/model`, or the start of such a name and `*`. Default: all. */
  models: z
    .array(
      z
        .string()
        .regex(/^[^*]*\*?$/, { error: 'a * may only be its last character' })
        .min(1),
    )
    .optional(),
});

/** The limits of each tenant by name. What a tenant does not set is as in `default`. */
export const tenantsConfig = z.record(z.string(), tenantConfig);
export type TenantsConfig = Readonly<z.infer<typeof tenantsConfig>>;

/** The limits of one tenant, all processes together. What is absent is not limited. */
export type TenantLimits = Readonly<z.infer<typeof tenantConfig>>;

/** What limits a tenant's calls to providers. */
export type CallLimits = Pick<TenantLimits, 'requestsPerMinute' | 'tokensPerMinute' | 'concurrency'>;

/** What limits the cost of a tenant's calls. */
export type CostLimits = Pick<TenantLimits, 'usdPerDay' | 'usdPerMonth'>;

/** Limits that a tenant has even where the configuration sets none. */
type BuiltIn = 'uploadsAtOnce' | 'eventStreamsAtOnce' | 'liveCallsAtOnce';
const builtIn: Readonly<Record<BuiltIn, number>> = {
  uploadsAtOnce: 100,
  eventStreamsAtOnce: 100,
  liveCallsAtOnce: 10_000,
};

export const limitsCalls = ({ requestsPerMinute, tokensPerMinute, concurrency }: CallLimits): boolean =>
  (requestsPerMinute ?? tokensPerMinute ?? concurrency) !== undefined;

export const limitsCost = ({ usdPerDay, usdPerMonth }: CostLimits): boolean => (usdPerDay ?? usdPerMonth) !== undefined;

/** The limits that are in force. They may be replaced while the process runs. */
export const createTenants = (config: TenantsConfig) => {
  let inForce = config;
  const anyIs = (isLimited: (limits: TenantLimits) => boolean): boolean => Object.values(inForce).some(isLimited);
  let [calls, tokens, costs] = [false, false, false];
  const replace = (changed: TenantsConfig): void => {
    inForce = changed;
    calls = anyIs(limitsCalls);
    costs = anyIs(limitsCost);
    tokens = anyIs(({ tokensPerMinute }) => tokensPerMinute !== undefined);
  };
  replace(config);
  const named = (tenant: string): TenantLimits => (Object.hasOwn(inForce, tenant) ? (inForce[tenant] ?? {}) : {});
  return {
    limitsOf: (tenant: string): TenantLimits & typeof builtIn => {
      const limits = { ...builtIn, ...named('default'), ...named(tenant) };
      const {
        uploadsAtOnce = builtIn.uploadsAtOnce,
        eventStreamsAtOnce = builtIn.eventStreamsAtOnce,
        liveCallsAtOnce = builtIn.liveCallsAtOnce,
      } = limits;
      return { ...limits, uploadsAtOnce, eventStreamsAtOnce, liveCallsAtOnce };
    },
    weightOf: (tenant: string): number => named(tenant).weight ?? inForce['default']?.weight ?? 1,
    /** Whether calls of any tenant are limited. */
    limitCalls: (): boolean => calls,
    /** Whether tokens of any tenant are limited. */
    limitTokens: (): boolean => tokens,
    /** Whether the cost of any tenant's calls is limited. */
    limitCosts: (): boolean => costs,
    replace,
  };
};

export type Tenants = ReturnType<typeof createTenants>;

const matches = (pattern: string, model: string): boolean => {
  if (pattern.endsWith('*')) return model.startsWith(pattern.slice(0, -1));
  return pattern === model || (!pattern.includes('/') && model.startsWith(`${pattern}/`));
};

/** @param model as `provider/model` */
export const mayUseModel = ({ models }: Pick<TenantLimits, 'models'>, model: string): boolean =>
  models === undefined || models.some((pattern) => matches(pattern, model));
