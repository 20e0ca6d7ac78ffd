import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys } from '../keys.ts';
import type { Cursor } from './batch-record.ts';

/** Requests that the cursor passes although no lane gets them. */
export interface SkippedRequests {
  /** Those that wait for a copy. */
  readonly repeats: number;
  /** Those that wait for a result of a batch API. */
  readonly handedOff: number;
  /** Those that have a copy, or a result of a batch API. */
  readonly copies: number;
  /** Bytes of the lines of all these. */
  readonly bytes: number;
}

const noneSkipped: SkippedRequests = { repeats: 0, handedOff: 0, copies: 0, bytes: 0 };

/**
 * One request in this many gets a mark. More marks make reading the input again cheaper, and the list of marks longer.
 */
const requestsBetweenMarks = 10_000;

const script = defineScript<
  [batch: string, marks: string],
  [
    from: number,
    dispatched: number,
    offset: number,
    line: number,
    positions: string,
    requestsBetweenMarks: number,
    waitingRepeats: number,
    copies: number,
    skippedBytes: number,
    waitingHandedOff: number,
  ],
  'moved' | 'halted' | 'overtaken'
>(new URL('./advance-cursor.lua', import.meta.url));

export interface CursorMove {
  readonly id: string;
  /** How many requests had been dispatched when the caller read the record. */
  readonly from: number;
  readonly to: Cursor;
  /** Default: none. */
  readonly skipped?: SkippedRequests | undefined;
}

/** `halted`: it moved, but the batch is paused or stopped. `overtaken`: another dispatcher has moved it. */
export const advanceCursor = (
  redis: RedisConnection,
  keys: Keys,
  { id, from, to, skipped = noneSkipped }: CursorMove,
): Promise<'moved' | 'halted' | 'overtaken'> => {
  const { dispatched, cursorOffset, cursorLine, positions } = to;
  const { repeats, handedOff, copies, bytes } = skipped;
  return script(
    redis,
    [keys.batch(id), keys.marks(id)],
    [
      from,
      dispatched,
      cursorOffset,
      cursorLine,
      JSON.stringify(positions),
      requestsBetweenMarks,
      repeats,
      copies,
      bytes,
      handedOff,
    ],
  );
};
