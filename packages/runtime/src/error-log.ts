import type { Logger } from './logger.ts';

/** Logs a warning unless one of the same kind was logged in the last 10 s. */
export type ErrorLog = (error: unknown, message: string, fields?: Readonly<Record<string, unknown>>) => void;

const everyMs = 10_000;
/** Most kinds of errors remembered at once. One more kind makes the log forget all of them. */
const maxKinds = 100;

/** Errors that differ only in an id, an address or a number are of one kind. */
const kindOf = (error: unknown, message: string): string => `${message} ${String(error).replace(/\S*\d\S*/g, '#')}`;

/**
 * Makes a log for errors that come by the thousand while Redis or a store is away. It logs the first error of a kind at
 * once, then one every 10 s, with the number of those between as `repeated`.
 */
export const createErrorLog = (logger: Logger, now: () => number = Date.now): ErrorLog => {
  const kinds = new Map<string, { untilMs: number; repeated: number }>();
  return (error, message, fields) => {
    const kind = kindOf(error, message);
    const known = kinds.get(kind);
    if (known && now() < known.untilMs) {
      known.repeated++;
      return;
    }
    if (kinds.size >= maxKinds) kinds.clear();
    kinds.set(kind, { untilMs: now() + everyMs, repeated: 0 });
    logger.warn({ err: error, ...fields, ...(known?.repeated ? { repeated: known.repeated } : {}) }, message);
  };
};
