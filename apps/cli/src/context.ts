import type { Readable, Writable } from 'node:stream';
import type { fetch } from 'undici';
import type { Screen } from './terminal.ts';

/** The parts of the process that a command may use. */
export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable;
  /** Gets a command's output: ids, results, JSON. */
  readonly stdout: Writable;
  /** Whether a person reads that output. */
  readonly stdoutIsTerminal: boolean;
  /** Standard error. It gets messages and progress. */
  readonly screen: Screen;
  readonly fetch: typeof fetch;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** Aborts at the first SIGINT, SIGTERM or SIGHUP; its reason is a {@link StopRequest}. */
  readonly signal: AbortSignal;
}

/** The reason for which a signal aborts a command. */
export class StopRequest extends Error {
  override readonly name = 'StopRequest';
  readonly code = 'stopped';
  /** 128 plus the signal's number. */
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('stopped by a signal');
    this.exitCode = exitCode;
  }
}
