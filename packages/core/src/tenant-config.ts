import { z } from 'zod';

const tenantConfig = z.strictObject({
  /** The tenant's share of a lane, as a multiple of another's. Default 1. */
  weight: z.number().min(0.01).max(100).optional(),
});

/** What is set for each tenant by name. What a tenant does not set is as in `default`. */
export const tenantsConfig = z.record(z.string(), tenantConfig);
export type TenantsConfig = Readonly<z.infer<typeof tenantsConfig>>;

export const createTenants = (config: TenantsConfig) => ({
  weightOf: (tenant: string): number =>
    (Object.hasOwn(config, tenant) ? config[tenant]?.weight : undefined) ?? config['default']?.weight ?? 1,
});
