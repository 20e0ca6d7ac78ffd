import type { Response } from 'express';

/** So long a request that is under way may go on after its key was revoked or has expired. */
const graceMs = 1000;

/** Breaks a request's connection when its key has ended and the request has not. */
export const cutWhenEnded = (keyEnded: AbortSignal, response: Response): void => {
  let timer: NodeJS.Timeout | undefined;
  const onEnded = (): void => {
    timer = setTimeout(() => response.destroy(), graceMs);
  };
  keyEnded.addEventListener('abort', onEnded);
  response.once('close', () => {
    keyEnded.removeEventListener('abort', onEnded);
    clearTimeout(timer);
  });
};
