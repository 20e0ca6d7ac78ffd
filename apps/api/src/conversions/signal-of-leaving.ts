import { ApiError } from '@promptmill/core';
import type { Response } from 'express';

/** A signal that fires when the caller hangs up before the answer, so that work that nobody waits for ends. */
export const signalOfLeaving = (response: Response): AbortSignal => {
  const left = new AbortController();
  response.on('close', () => left.abort(new ApiError(408, 'The caller has left.')));
  return left.signal;
};
