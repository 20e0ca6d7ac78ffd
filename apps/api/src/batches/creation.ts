import { createHash } from 'node:crypto';
import { ApiError, newBatchId, newFileId } from '@promptmill/core';
import type { Keys } from '@promptmill/queue';
import type { ApiDependencies } from '../dependencies.ts';

/** What a batch's creation is made of; whoever has it can carry the creation on from any step. */
export interface Creation {
  readonly batchId: string;
  /** Of a file made from prompts. */
  readonly inputFileId: string;
  readonly outputFileId: string;
  readonly errorFileId: string;
  /** Unix seconds. */
  readonly createdAt: number;
}

export const newCreation = (nowMs: number): Creation => ({
  batchId: newBatchId(),
  inputFileId: newFileId(),
  outputFileId: newFileId(),
  errorFileId: newFileId(),
  createdAt: Math.floor(nowMs / 1000),
});

interface Claim {
  readonly bodyHash: string;
  readonly creation: Creation;
}

const rememberSeconds = 24 * 3600;

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Ties an `Idempotency-Key` to one creation, so that repeats of it, even at the same time, make one batch. */
export const createClaims = (redis: ApiDependencies['redis'], keys: Keys) => {
  const claimKey = (tenant: string, key: string): string => keys.idempotency(tenant, hash(key));
  return {
    /** The creation that `key` stands for: `fresh` unless there was one. 409 when that was of another body. */
    async claim(
      tenant: string,
      key: string,
      body: unknown,
      fresh: Creation,
    ): Promise<{ readonly creation: Creation; readonly repeated: boolean }> {
      const claim: Claim = { bodyHash: hash(JSON.stringify(body)), creation: fresh };
      const name = claimKey(tenant, key);
      const earlier = await redis.set(name, JSON.stringify(claim), 'EX', rememberSeconds, 'NX', 'GET');
      if (earlier === null) return { creation: fresh, repeated: false };
      const { bodyHash, creation } = JSON.parse(earlier) as Claim;
      if (bodyHash === claim.bodyHash) return { creation, repeated: true };
      throw new ApiError(409, 'This Idempotency-Key was used with another request body.', {
        code: 'idempotency_key_reused',
      });
    },

    /** Frees a key whose creation was refused, so that a corrected one may use it. */
    async release(tenant: string, key: string): Promise<void> {
      await redis.del(claimKey(tenant, key));
    },
  };
};
