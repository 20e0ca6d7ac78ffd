import type { RequestHandler } from 'express';

export const noStore = { 'cache-control': 'no-store' };

/** Tells caches on the way, and the browser's, to keep no answer: each may hold a tenant's data. */
export const forbidStoring: RequestHandler = (_request, response, next) => {
  response.set(noStore);
  next();
};
