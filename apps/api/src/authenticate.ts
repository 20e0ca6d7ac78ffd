import { createHash, timingSafeEqual } from 'node:crypto';
import { ApiError } from '@promptmill/core';
import type { RequestHandler } from 'express';
import type { ApiKey } from '@promptmill/runtime';

/** Everyone's tenant where no keys are configured. */
export const localTenant = 'local';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Compares without telling, by the time taken, how much of it was right. */
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
    // All of them, so that the time taken does not say which it was.
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
