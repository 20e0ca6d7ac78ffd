import type { Provider } from '@promptmill/core';

/** How long the parts of a call may take, in milliseconds. */
export interface TimeLimits {
  /** From the call to the last byte of its answer. */
  readonly wholeMs: number;
  /** From the call to the first byte of the answer's body: a provider may send headers at once and think long. */
  readonly firstByteMs: number;
  /** From one piece of the body to the next. */
  readonly idleMs: number;
}

export const timeLimitsOf = ({ timeoutMs, firstByteTimeoutMs, idleTimeoutMs }: Provider): TimeLimits => ({
  wholeMs: timeoutMs,
  firstByteMs: firstByteTimeoutMs ?? timeoutMs,
  idleMs: idleTimeoutMs ?? timeoutMs / 2,
});

/** Ends a call that took too long. */
class CallTimeoutError extends Error {
  override readonly name = 'CallTimeoutError';
  readonly code = 'request_timeout';
}

export interface CallClock {
  /** Aborts when a limit is passed, with a {@link CallTimeoutError}, or when the caller's signal does. */
  readonly signal: AbortSignal;
  /** A piece of the body has come. */
  tick(): void;
  /** The call is over. */
  stop(): void;
}

/** Holds one call against its limits, from now on. */
export const startCallClock = ({ wholeMs, firstByteMs, idleMs }: TimeLimits, caller: AbortSignal): CallClock => {
  const controller = new AbortController();
  let hasBegun = false;

  const stop = (): void => {
    clearTimeout(whole);
    clearTimeout(wait);
    wait = undefined;
    caller.removeEventListener('abort', follow);
  };
  const end = (reason: unknown): void => {
    stop();
    controller.abort(reason);
  };
  const follow = (): void => end(caller.reason);
  const expire = (message: string): void => end(new CallTimeoutError(message));

  const whole = setTimeout(expire, wholeMs, `gave no complete answer within ${wholeMs} ms`);
  // A limit that the whole call's makes pointless costs no timer.
  let wait =
    firstByteMs < wholeMs ? setTimeout(expire, firstByteMs, `sent no answer within ${firstByteMs} ms`) : undefined;
  if (caller.aborted) follow();
  else caller.addEventListener('abort', follow, { once: true });

  return {
    signal: controller.signal,
    tick() {
      if (hasBegun) {
        wait?.refresh();
        return;
      }
      hasBegun = true;
      clearTimeout(wait);
      wait = idleMs < wholeMs ? setTimeout(expire, idleMs, `fell silent for ${idleMs} ms in its answer`) : undefined;
    },
    stop,
  };
};
