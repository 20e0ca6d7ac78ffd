import type { Provider } from '@promptmill/core';

/** How long the parts of a call may take, in milliseconds. */
export interface TimeLimits {
  /** From the call to the last byte of its answer. */
  readonly wholeMs: number;
  /**
   * From the call to the first byte of the answer's body. Headers do not count: a provider may send them long before.
   */
  readonly firstByteMs: number;
  /** From one piece of the body to the next. */
  readonly idleMs: number;
}

export const timeLimitsOf = ({ timeoutMs, firstByteTimeoutMs, idleTimeoutMs }: Provider): TimeLimits => ({
  wholeMs: timeoutMs,
  firstByteMs: firstByteTimeoutMs ?? timeoutMs,
  idleMs: idleTimeoutMs ?? timeoutMs / 2,
});

/** The error that ends a call which took too long. */
class CallTimeoutError extends Error {
  override readonly name = 'CallTimeoutError';
  readonly code = 'request_timeout';
}

export interface CallClock {
  /** Says that a piece of the body has come. */
  tick(): void;
  /** Says that the call is over. */
  stop(): void;
}

/** Watches the limits of one call, from now on. Calls `onTimeout` once, when the call passes the first of them. */
export const startCallClock = (
  { wholeMs, firstByteMs, idleMs }: TimeLimits,
  onTimeout: (error: CallTimeoutError) => void,
): CallClock => {
  let hasBegun = false;

  const stop = (): void => {
    clearTimeout(whole);
    clearTimeout(pause);
    pause = undefined;
  };
  const expire = (message: string): void => {
    stop();
    onTimeout(new CallTimeoutError(message));
  };

  const whole = setTimeout(expire, wholeMs, `gave no complete answer within ${wholeMs} ms`);
  // A limit that is not shorter than the whole call's needs no timer.
  let pause =
    firstByteMs < wholeMs ? setTimeout(expire, firstByteMs, `sent no answer within ${firstByteMs} ms`) : undefined;

  return {
    tick() {
      if (hasBegun) {
        pause?.refresh();
        return;
      }
      hasBegun = true;
      clearTimeout(pause);
      pause = idleMs < wholeMs ? setTimeout(expire, idleMs, `fell silent for ${idleMs} ms in its answer`) : undefined;
    },
    stop,
  };
};
