import { createHash, timingSafeEqual } from 'node:crypto';
import { ApiError } from '@promptmill/core';
import type { RequestHandler } from 'express';
import type { Caller } from './access/caller.ts';
import { cutWhenEnded } from './access/cut-when-ended.ts';
import type { FoundKey, KeyRing } from './access/key-ring.ts';
import type { Logins } from './access/logins.ts';
import type { PresentTenants } from './access/present-tenants.ts';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Compares in a time that does not depend on how much of the secret matches. */
export const sameSecret = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));

const missingKey = (): ApiError =>
  new ApiError(401, 'Missing API key. Send it as a header: Authorization: Bearer YOUR_KEY.', {
    type: 'invalid_request_error',
  });

const wrongKey = (message = 'Incorrect API key provided.'): ApiError =>
  new ApiError(401, message, { type: 'invalid_request_error', code: 'invalid_api_key' });

const expiredOrRevoked = { expired: 'expired', revoked: 'been revoked' } as const;

const refusal = (kind: Exclude<FoundKey['kind'], 'known'>): ApiError => {
  if (kind === 'unread')
    return new ApiError(503, 'The API keys cannot be read at the moment. Try again.', { code: 'service_unavailable' });
  return kind === 'unknown' ? wrongKey() : wrongKey(`This API key has ${expiredOrRevoked[kind]}.`);
};

const bearerOf = (authorization: string | undefined): string | undefined =>
  /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];

/** The caller whose key a request's `Authorization` header bears. Without keys, any caller is the tenant `local`. */
export const createAuthenticate =
  (ring: Pick<KeyRing, 'anyone' | 'find' | 'isRead'>) =>
  (authorization: string | undefined): Caller => {
    const anyone = ring.anyone();
    if (anyone) return anyone;
    const key = bearerOf(authorization);
    if (key === undefined) throw ring.isRead() ? missingKey() : refusal('unread');
    const found = ring.find(key);
    if (found.kind !== 'known') throw refusal(found.kind);
    return found.caller;
  };

export type Authenticate = ReturnType<typeof createAuthenticate>;

export const requireTenant =
  (authenticate: Authenticate, logins: Logins, present: Pick<PresentTenants, 'note'>): RequestHandler =>
  async (request, response, next) => {
    const { authorization } = request.headers;
    const caller = await logins.check(request, response, () => authenticate(authorization));
    cutWhenEnded(caller.ended, response);
    response.locals.caller = caller;
    response.locals.tenant = caller.tenant;
    present.note(caller.tenant);
    next();
  };

/**
 * Lets in who bears the metrics' token or an API key; where there are neither, anyone. Who has the key of a tenant does not
 * see what other tenants spend.
 */
export const requireMetricsToken = (
  token: string | undefined,
  { authenticate, isKeyless, logins }: { authenticate: Authenticate; isKeyless: () => boolean; logins: Logins },
): RequestHandler => {
  const identify = (authorization: string | undefined): { readonly seesSpending: boolean } => {
    const given = bearerOf(authorization);
    if (token !== undefined && given !== undefined && sameSecret(given, token)) return { seesSpending: true };
    if (token !== undefined && isKeyless()) throw given === undefined ? missingKey() : wrongKey();
    return { seesSpending: isKeyless() || authenticate(authorization).admin };
  };
  return async (request, response, next) => {
    const { authorization } = request.headers;
    response.locals.seesSpending = (await logins.check(request, response, () => identify(authorization))).seesSpending;
    next();
  };
};

/** Also for a caller without a key where none is needed: anyone on the machine could be that caller. */
export const requireAdmin: RequestHandler = (_request, response, next) => {
  if (response.locals.caller?.admin) return next();
  throw new ApiError(403, 'Only an admin key may do this.', { code: 'permission_denied' });
};
