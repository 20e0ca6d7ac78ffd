export interface DeliveryPlacesOptions {
  /** Most deliveries of one tenant that a process has in work. */
  readonly ofTenant: number;
}

/** A delivery that is put back comes again after this time at the earliest. */
const shortestDelayMs = 200;
/** The more wait, the later each comes again, so that Redis has little to do with them. */
const delayForEachMs = 10;
/** Most deliveries of a tenant that are remembered as waiting. */
const maxWaiting = 10_000;

/**
 * The places that each tenant has in this process: a tenant whose receivers are slow takes no more of them, and leaves the
 * others to the other tenants.
 */
export const createDeliveryPlaces = ({ ofTenant }: DeliveryPlacesOptions) => {
  const tenants = new Map<string, { taken: number; readonly waiting: Set<string> }>();
  return {
    /** Takes a place, and returns what gives it back; or in how many milliseconds the job is to come again. */
    take(tenant: string, jobId: string, random: number): (() => void) | number {
      const known = tenants.get(tenant) ?? { taken: 0, waiting: new Set<string>() };
      tenants.set(tenant, known);
      const { waiting } = known;
      if (known.taken >= ofTenant) {
        if (waiting.size < maxWaiting) waiting.add(jobId);
        return Math.max(shortestDelayMs, waiting.size * delayForEachMs) * (0.5 + random);
      }
      waiting.delete(jobId);
      known.taken++;
      return () => {
        known.taken--;
        if (known.taken === 0 && waiting.size === 0) tenants.delete(tenant);
      };
    },
  };
};

export type DeliveryPlaces = ReturnType<typeof createDeliveryPlaces>;
