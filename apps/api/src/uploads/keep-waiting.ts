import type { Response } from 'express';

/** Shorter than the time for which proxies (60 s) and clients (300 s) usually wait for the first byte of an answer. */
const firstAfterMs = 30_000;
const everyMs = 15_000;

/**
 * Keeps the connection of a caller who waits for a JSON answer: after 30 s it sends the head of the answer, status 200,
 * and a space every 15 s, which JSON allows before the object. An error after that can only cut the connection.
 *
 * @returns ends this; the caller then sends the answer
 */
export const keepWaiting = (response: Response): (() => void) => {
  const send = (): void => {
    if (response.closed) return;
    if (!response.headersSent) response.status(200).type('json');
    response.write(' ');
    timer = setTimeout(send, everyMs);
  };
  let timer = setTimeout(send, firstAfterMs);
  return () => clearTimeout(timer);
};
