import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { isTenantName } from './tenant.ts';

/** What is kept of an API key. It never changes; that the key was revoked is kept beside it. Times are Unix seconds. */
export interface ApiKeyRecord {
  /** The visible start of the key, `pm_` and 12 hex digits. It names the key. */
  readonly prefix: string;
  /** The SHA-256 of the whole key, in hex. */
  readonly digest: string;
  readonly tenant: string;
  /** Whether it may see and cancel the batches of every tenant. */
  readonly admin: boolean;
  readonly createdAt: number;
  /** Absent: the key does not expire. */
  readonly expiresAt?: number;
  /** For the operator. */
  readonly note?: string;
}

/** A key that was stored, with what has become of it. */
export interface StoredApiKey extends ApiKeyRecord {
  readonly revokedAt?: number;
}

const prefixPattern = /^pm_[0-9a-f]{12}$/;
const maxNoteCharacters = 200;
const secretBytes = 32;

/** What an operator may note with a key. Control characters could change what a terminal shows. */
export const isKeyNote = (text: string): boolean => text.length <= maxNoteCharacters && !/\p{Cc}|\p{Cf}/u.test(text);

export const apiKeyRecord = z.object({
  prefix: z.string().regex(prefixPattern),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  tenant: z.string().refine(isTenantName),
  admin: z.boolean(),
  createdAt: z.int(),
  expiresAt: z.int().exactOptional(),
  note: z.string().refine(isKeyNote).exactOptional(),
}) satisfies z.ZodType<ApiKeyRecord>;

/** The SHA-256 of a key, in hex. A key of 256 random bits needs no slow hash: it cannot be guessed. */
export const digestOfKey = (key: string): string => createHash('sha256').update(key).digest('hex');

/** Makes a key, `pm_<12 hex digits>_<256 random bits>`, and the record that is kept of it. */
export const newApiKey = (
  terms: Pick<ApiKeyRecord, 'tenant' | 'admin' | 'createdAt' | 'expiresAt' | 'note'>,
): { readonly key: string; readonly record: ApiKeyRecord } => {
  const prefix = `pm_${randomBytes(6).toString('hex')}`;
  const key = `${prefix}_${randomBytes(secretBytes).toString('base64url')}`;
  return { key, record: { prefix, digest: digestOfKey(key), ...terms } };
};

/** The prefix in what an operator gives for a key: the prefix, with or without `pm_`. Undefined when there is none. */
export const prefixOfKey = (text: string): string | undefined => {
  const prefix = text.startsWith('pm_') ? text : `pm_${text}`;
  return prefixPattern.test(prefix) ? prefix : undefined;
};

/** Whether a key opens nothing any more. */
export const stateOfKey = ({ expiresAt, revokedAt }: StoredApiKey, nowMs: number): 'active' | 'expired' | 'revoked' => {
  if (revokedAt !== undefined) return 'revoked';
  return expiresAt !== undefined && expiresAt * 1000 <= nowMs ? 'expired' : 'active';
};
