/** Gives each tenant one turn after another, so that however many calls it makes, one is at work. */
export const createTakeTurns = () => {
  const lasts = new Map<string, Promise<void>>();
  /** Resolves when the turns before have ended, with what ends this one. */
  return async (tenant: string): Promise<() => void> => {
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const before = lasts.get(tenant);
    lasts.set(tenant, ended);
    await before;
    return () => {
      end();
      if (lasts.get(tenant) === ended) lasts.delete(tenant);
    };
  };
};
