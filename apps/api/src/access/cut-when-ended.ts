import type { Response } from 'express';

/** So long a request that is under way may go on after its key was revoked or has expired. */
const graceMs = 1000;

/** The requests under way by the signal that says the end of their key: a listener for each would cost a busy api dear. */
const underWay = new WeakMap<AbortSignal, Set<Response>>();

const watch = (keyEnded: AbortSignal): Set<Response> => {
  const responses = new Set<Response>();
  underWay.set(keyEnded, responses);
  keyEnded.addEventListener('abort', () => {
    setTimeout(() => {
      for (const response of responses) response.destroy();
    }, graceMs).unref();
  });
  return responses;
};

/** Breaks a request's connection when its key has ended and the request has not. */
export const cutWhenEnded = (keyEnded: AbortSignal, response: Response): void => {
  const responses = underWay.get(keyEnded) ?? watch(keyEnded);
  responses.add(response);
  response.once('close', () => responses.delete(response));
};
