/**
 * - `data_folder_in_use`: another live process owns the data folder.
 * - `no_redis`: there is nothing to start; the message says what to install.
 * - `redis_failed`: it did not start, or did not stop; the message holds the end of its log.
 */
export type EmbeddedRedisErrorCode = 'data_folder_in_use' | 'no_redis' | 'redis_failed';

export class EmbeddedRedisError extends Error {
  readonly code: EmbeddedRedisErrorCode;
  /** The process that owns the data folder, for `data_folder_in_use`. */
  readonly ownerPid: number | undefined;

  constructor(code: EmbeddedRedisErrorCode, message: string, { ownerPid }: { readonly ownerPid?: number } = {}) {
    super(message);
    this.name = 'EmbeddedRedisError';
    this.code = code;
    this.ownerPid = ownerPid;
  }
}
