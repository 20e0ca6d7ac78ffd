import type { Logger } from './logger.ts';

/** What a process, or a part of one, has to close, in order. */
export interface Lifecycle {
  /** What is added first is closed first. */
  add(name: string, close: () => Promise<void> | void): void;
  /**
   * Closes one after the other, all of them even when some fail; repeated, it is the same closing.
   * Throws AggregateError with what failed.
   */
  close(): Promise<void>;
  /** The name of what is being closed now. */
  closing(): string | undefined;
}

export const createLifecycle = (logger: Logger): Lifecycle => {
  const closers: { readonly name: string; readonly close: () => Promise<void> | void }[] = [];
  let current: string | undefined;
  let closed: Promise<void> | undefined;

  const closeAll = async (): Promise<void> => {
    const failed: { readonly name: string; readonly error: unknown }[] = [];
    for (const { name, close } of closers) {
      current = name;
      try {
        await close();
        logger.debug({ closed: name }, 'closed');
      } catch (error) {
        logger.error({ err: error, closing: name }, 'could not close');
        failed.push({ name, error });
      }
    }
    current = undefined;
    if (failed.length > 0)
      throw new AggregateError(
        failed.map(({ error }) => error),
        `could not close: ${failed.map(({ name }) => name).join(', ')}`,
      );
  };

  return {
    add(name, close) {
      closers.push({ name, close });
    },
    close: () => (closed ??= closeAll()),
    closing: () => current,
  };
};
