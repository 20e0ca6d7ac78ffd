import type { RequestHandler } from 'express';

/** How long a caller may go on sending a body after its answer, in milliseconds. */
const lingerMs = 5000;

/**
 * Reads what is left of a body once the answer is out, for 5 s. Closing the connection at once could discard the answer;
 * reading on would let a body that nobody needs, such as that of a GET, keep the connection for hours.
 */
export const discardBody: RequestHandler = (request, response, next) => {
  response.once('finish', () => {
    if (request.complete || request.destroyed) return;
    const timer = setTimeout(() => request.socket.destroy(), lingerMs);
    request.once('close', () => clearTimeout(timer));
    request.resume();
  });
  next();
};
