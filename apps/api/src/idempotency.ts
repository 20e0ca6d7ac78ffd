import { createHash } from 'node:crypto';
import { ApiError } from '@promptmill/core';
import type { Claims } from '@promptmill/queue';
import { z } from 'zod';

/** The header of a route that makes something. */
export const idempotencyHeaders = z.object({
  'idempotency-key': z.string().min(1).max(255).optional().meta({
    description: 'The same request under the same key within 24 hours makes nothing more: it gets the same answer.',
  }),
});

export const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A client's request under an idempotency key. */
export interface KeyedRequest {
  readonly tenant: string;
  readonly key: string;
  readonly contentHash: string;
}

/**
 * Claims a key and returns what was made under it: `fresh`, unless the request is repeated. 409 when the key was used
 * with another request.
 */
export const claimKey = async <Made>(
  claims: Claims<Made>,
  request: KeyedRequest,
  fresh: Made,
): Promise<{ readonly made: Made; readonly repeated: boolean }> => {
  const outcome = await claims.claim({ ...request, fresh });
  if (outcome.kind !== 'conflict') return { made: outcome.made, repeated: outcome.kind === 'repeated' };
  throw new ApiError(409, 'This Idempotency-Key was used with another request.', { code: 'idempotency_key_reused' });
};
