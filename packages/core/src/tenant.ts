/** Where a tenant's name may stand: in a key of Redis, a log, a URL. */
export const isTenantName = (text: string): boolean => /^[A-Za-z0-9_-]{1,64}$/.test(text);

/** What a tenant's name may be, for a message. */
export const tenantNameRule = '1 to 64 of A-Z a-z 0-9 _ -';
