/**
 * - `data_folder_in_use`: another live process owns the data folder.
 * - `no_redis`: this machine has no Redis to start. The message says what to install.
 * - `redis_failed`: Redis did not start or did not stop. The message holds the end of its log or names it.
 */
export type EmbeddedRedisErrorCode = 'data_folder_in_use' | 'no_redis' | 'redis_failed';

export class EmbeddedRedisError extends Error {
  readonly code: EmbeddedRedisErrorCode;
  /** The id of the process that owns the data folder, for `data_folder_in_use`. */
  readonly ownerPid: number | undefined;

  constructor(code: EmbeddedRedisErrorCode, message: string, { ownerPid }: { readonly ownerPid?: number } = {}) {
    super(message);
    this.name = 'EmbeddedRedisError';
    this.code = code;
    this.ownerPid = ownerPid;
  }
}
