/** Whose key a request came with. */
export interface Caller {
  readonly tenant: string;
  /** Whether it may see and cancel the batches of every tenant. */
  readonly admin: boolean;
  /** How logs name the key: the prefix of a stored one, `env-2` for the second of the environment. */
  readonly key?: string;
  /** Fires when the key is revoked or expires. What is under way then ends within a second. */
  readonly ended: AbortSignal;
}
