/** A tenant counts as present for so long after its latest request, in milliseconds. */
const presentMs = 10_000;

/** Knows which tenants have sent a request lately. It holds no more than those. */
export const createPresentTenants = (now: () => number) => {
  // The latest is last.
  const seenAt = new Map<string, number>();

  const forgetOld = (): void => {
    for (const [tenant, at] of seenAt) {
      if (now() - at < presentMs) return;
      seenAt.delete(tenant);
    }
  };

  return {
    note(tenant: string): void {
      seenAt.delete(tenant);
      seenAt.set(tenant, now());
      forgetOld();
    },
    hasOthers(tenant: string): boolean {
      forgetOld();
      return seenAt.size > (seenAt.has(tenant) ? 1 : 0);
    },
  };
};

export type PresentTenants = ReturnType<typeof createPresentTenants>;
