export const tenantOf = (source: string): string => source.slice(0, source.lastIndexOf('/'));

/** The rank of a source of a tenant none of whose sources has failed. */
export const bestRank = -2;

/**
 * Ranks the sources that may probe a held lane, the best of them lowest: one of a tenant none of whose sources has failed,
 * one that has not failed itself, and then the one that failed longest ago.
 *
 * @param failedSources the latest last
 */
export const rankProbes = (failedSources: readonly string[]) => {
  const failedAt = new Map(failedSources.map((source, i) => [source, i]));
  const failedTenants = new Set(failedSources.map(tenantOf));
  return (source: string): number => {
    if (!failedTenants.has(tenantOf(source))) return bestRank;
    return failedAt.get(source) ?? -1;
  };
};
