import { createHash, timingSafeEqual } from 'node:crypto';
import { ApiError } from '@promptmill/core';
import type { RequestHandler } from 'express';
import type { ApiKey } from '@promptmill/runtime';

/** The tenant of every caller where no keys are configured. */
export const localTenant = 'local';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Compares in a time that does not depend on how much of the secret matches. */
export const sameSecret = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));

const missingKey = (): ApiError =>
  new ApiError(401, 'Missing API key. Send it as a header: Authorization: Bearer YOUR_KEY.', {
    type: 'invalid_request_error',
  });

const wrongKey = (): ApiError =>
  new ApiError(401, 'Incorrect API key provided.', { type: 'invalid_request_error', code: 'invalid_api_key' });

/** The tenant whose key a request's `Authorization` header bears. Without keys, any caller is the tenant `local`. */
export const createAuthenticate = (apiKeys: readonly ApiKey[]) => {
  const known = apiKeys.map(({ tenant, key }) => ({ tenant, digest: digest(key) }));

  return (authorization: string | undefined): string => {
    if (known.length === 0) return localTenant;
    const key = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    if (key === undefined) throw missingKey();
    const given = digest(key);
    let tenant: string | undefined;
    // Every key is compared, so that the time does not tell which one matched.
    for (const entry of known) if (timingSafeEqual(entry.digest, given)) ({ tenant } = entry);
    if (tenant === undefined) throw wrongKey();
    return tenant;
  };
};

export const requireTenant = (authenticate: ReturnType<typeof createAuthenticate>): RequestHandler => {
  return (request, response, next) => {
    response.locals.tenant = authenticate(request.headers.authorization);
    next();
  };
};
