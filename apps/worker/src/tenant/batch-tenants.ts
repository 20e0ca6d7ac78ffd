const maxBatches = 10_000;

/** Which tenant each batch belongs to. It is read from the batch's record once. */
export const createBatchTenants = (read: (batchId: string) => Promise<string | undefined>) => {
  const tenants = new Map<string, string>();
  const known = (batchId: string): string | undefined => tenants.get(batchId);
  return {
    /** Undefined also for a tenant that has not been looked up. */
    known,
    /** Undefined when there is no such batch. */
    async find(batchId: string): Promise<string | undefined> {
      const before = known(batchId);
      if (before !== undefined) return before;
      const tenant = await read(batchId);
      if (tenant === undefined) return undefined;
      if (tenants.size >= maxBatches) tenants.clear();
      tenants.set(batchId, tenant);
      return tenant;
    },
  };
};

export type BatchTenants = ReturnType<typeof createBatchTenants>;
