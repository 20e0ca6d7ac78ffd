import { createHash, timingSafeEqual } from 'node:crypto';
import { ApiError } from '@promptmill/core';
import type { RequestHandler } from 'express';
import type { Caller } from './access/caller.ts';
import type { FoundKey, KeyRing } from './access/key-ring.ts';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Compares in a time that does not depend on how much of the secret matches. */
export const sameSecret = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));

const missingKey = (): ApiError =>
  new ApiError(401, 'Missing API key. Send it as a header: Authorization: Bearer YOUR_KEY.', {
    type: 'invalid_request_error',
  });

const refusal = (kind: Exclude<FoundKey['kind'], 'known'>): ApiError => {
  if (kind === 'unread')
    return new ApiError(503, 'The API keys cannot be read at the moment. Try again.', { code: 'service_unavailable' });
  const message = kind === 'unknown' ? 'Incorrect API key provided.' : `This API key has ${expiredOrRevoked[kind]}.`;
  return new ApiError(401, message, { type: 'invalid_request_error', code: 'invalid_api_key' });
};

const expiredOrRevoked = { expired: 'expired', revoked: 'been revoked' } as const;

/** The caller whose key a request's `Authorization` header bears. Without keys, any caller is the tenant `local`. */
export const createAuthenticate =
  (ring: Pick<KeyRing, 'anyone' | 'find' | 'isRead'>) =>
  (authorization: string | undefined): Caller => {
    const anyone = ring.anyone();
    if (anyone) return anyone;
    const key = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    if (key === undefined) throw ring.isRead() ? missingKey() : refusal('unread');
    const found = ring.find(key);
    if (found.kind !== 'known') throw refusal(found.kind);
    return found.caller;
  };

export const requireTenant = (authenticate: ReturnType<typeof createAuthenticate>): RequestHandler => {
  return (request, response, next) => {
    const caller = authenticate(request.headers.authorization);
    response.locals.caller = caller;
    response.locals.tenant = caller.tenant;
    next();
  };
};

/** Also for a caller without a key where none is needed: anyone on the machine could be that caller. */
export const requireAdmin: RequestHandler = (_request, response, next) => {
  if (response.locals.caller?.admin) return next();
  throw new ApiError(403, 'Only an admin key may do this.', { code: 'permission_denied' });
};
