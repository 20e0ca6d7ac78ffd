import type { Logger } from './logger.ts';

/** The parts of a process that are closed at its end, in order. */
export interface Lifecycle {
  /** Adds a part. The part that is added first is closed first. */
  add(name: string, close: () => Promise<void> | void): void;
  /**
   * Closes all parts one after the other, even when some fail. A second call returns the promise of the first.
   *
   * @throws AggregateError with the errors of the parts that failed.
   */
  close(): Promise<void>;
  /** The name of the part that is being closed now. */
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
