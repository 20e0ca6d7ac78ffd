import type { Readable, Writable } from 'node:stream';
import type { fetch } from 'undici';
import type { Screen } from './progress/progress.ts';

/** The process that a command runs in, as much of it as commands may touch. */
export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable;
  /** Takes what a command was asked for: ids, results, JSON. */
  readonly stdout: Writable;
  /** Standard error: what a command says to whoever watches it. */
  readonly screen: Screen;
  readonly fetch: typeof fetch;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** Aborts at the first SIGINT or SIGTERM; its reason is a {@link StopRequest}. */
  readonly signal: AbortSignal;
}

/** Why a command is to end early. */
export class StopRequest extends Error {
  override readonly name = 'StopRequest';
  readonly code = 'stopped';
  /** 128 and the number of the signal. */
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('stopped by a signal');
    this.exitCode = exitCode;
  }
}
