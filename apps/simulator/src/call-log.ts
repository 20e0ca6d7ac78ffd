import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/** One line of the call log: the provider's own account of a call, written when the call ends. */
export interface CallLogEntry {
  /** When the call arrived and when it ended, in epoch milliseconds. */
  readonly at: number;
  readonly endedAt: number;
  /** The `Idempotency-Key`, null without one. */
  readonly key: string | null;
  /** The HTTP status that was sent; 0 when no headers were. */
  readonly status: number;
  /**
   * `status`, or a name from the table of faults. Absent for a call without a fault, such as a 429 of the rate limit.
   */
  readonly fault?: string;
  readonly path: string;
  /** Null when the body was not read or names none. */
  readonly model: string | null;
  /** The tier that the call asks for. Absent: the standard one. */
  readonly tier?: 'flex';
  /** Calls in flight when this one arrived, itself included. */
  readonly inFlight: number;
  /** Tokens charged: prompt and completion; 0 for an error answer. */
  readonly tokens: number;
  /** Set for a line of a batch, which was no call and is written when its batch has all answers. */
  readonly batch?: {
    readonly id: string;
    readonly customId: string;
    /** What it cost, as a share of a call's price. */
    readonly priceShare: number;
  };
  /** The connection ended before the answer was whole, and no fault had caused that. */
  readonly aborted?: true;
}

export interface CallLog {
  append(entry: CallLogEntry): void;
  /** Resolves when every line is in the file. */
  close(): Promise<void>;
}

const flushIntervalMs = 50;
const maxBufferedChars = 64 * 1024;

/**
 * Opens a JSONL file and its folder. A line is in the file 50 ms after the end of its call at the latest. Lines are
 * written whole, so that another process can read them meanwhile. A failed write ends the process, since an account
 * with gaps is worse than none.
 * @throws when the file cannot be opened.
 */
export async function openCallLog(path: string): Promise<CallLog> {
  await mkdir(dirname(path), { recursive: true });
  const file = createWriteStream(path, { flags: 'a' });
  await once(file, 'open');
  let lines = '';
  let timer: NodeJS.Timeout | undefined;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (lines !== '') file.write(lines);
    lines = '';
  }

  return {
    append(entry) {
      lines += `${JSON.stringify(entry)}\n`;
      if (lines.length > maxBufferedChars) flush();
      else timer ??= setTimeout(flush, flushIntervalMs);
    },
    async close() {
      flush();
      file.end();
      await once(file, 'close');
    },
  };
}
