import { createHash, timingSafeEqual } from 'node:crypto';
import { ApiError } from '@promptmill/core';
import type { RequestHandler } from 'express';
import type { ApiKey } from '@promptmill/runtime';
import type { Logins } from './access/logins.ts';

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

const bearerOf = (authorization: string | undefined): string | undefined =>
  /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];

/** The tenant whose key a request's `Authorization` header bears. Without keys, any caller is the tenant `local`. */
export const createAuthenticate = (apiKeys: readonly ApiKey[]) => {
  const known = apiKeys.map(({ tenant, key }) => ({ tenant, digest: digest(key) }));

  return (authorization: string | undefined): string => {
    if (known.length === 0) return localTenant;
    const key = bearerOf(authorization);
    if (key === undefined) throw missingKey();
    const given = digest(key);
    let tenant: string | undefined;
    // Every key is compared, so that the time does not tell which one matched.
    for (const entry of known) if (timingSafeEqual(entry.digest, given)) ({ tenant } = entry);
    if (tenant === undefined) throw wrongKey();
    return tenant;
  };
};

export type Authenticate = ReturnType<typeof createAuthenticate>;

export const requireTenant =
  (authenticate: Authenticate, logins: Logins): RequestHandler =>
  async (request, response, next) => {
    const { authorization } = request.headers;
    response.locals.tenant = await logins.check(request, response, () => authenticate(authorization));
    next();
  };

/** Lets in who bears the metrics' token or an API key. Where there are neither, anyone. */
export const requireMetricsToken = (
  token: string | undefined,
  { authenticate, isKeyless, logins }: { authenticate: Authenticate; isKeyless: () => boolean; logins: Logins },
): RequestHandler => {
  const identify = (authorization: string | undefined): void => {
    const given = bearerOf(authorization);
    if (token !== undefined && given !== undefined && sameSecret(given, token)) return;
    if (token !== undefined && isKeyless()) throw given === undefined ? missingKey() : wrongKey();
    authenticate(authorization);
  };
  return async (request, response, next) => {
    await logins.check(request, response, () => identify(request.headers.authorization));
    next();
  };
};
