import { randomUUID } from 'node:crypto';
import type { Logger, Metrics } from '@promptmill/runtime';
import type { RequestHandler } from 'express';

const sanePattern = /^[\w.:-]{1,128}$/;

/** Gives every answer an `x-request-id`: the caller's own where it is sane, else a new one. */
export const identifyRequest: RequestHandler = (request, response, next) => {
  const given = request.get('x-request-id');
  const requestId = given !== undefined && sanePattern.test(given) ? given : `req_${randomUUID().replaceAll('-', '')}`;
  response.locals.requestId = requestId;
  response.set('x-request-id', requestId);
  next();
};

/** Says under which name a request is logged and counted. */
export const nameRoute =
  (route: string): RequestHandler =>
  (_request, response, next) => {
    response.locals.route = route;
    next();
  };

/** Machines and pages poll these routes, so they are logged at the level debug. */
const quietRoutes = new Set(['/livez', '/readyz', '/metrics', '/', '/page', '/docs', '/admin/queues']);

/** Logs and counts each request when its answer is out, or its caller has gone. No bodies, queries or headers. */
export const createRequestLog =
  (logger: Logger, metrics: Metrics): RequestHandler =>
  (request, response, next) => {
    const startedAt = performance.now();
    response.on('close', () => {
      const { requestId, tenant, route = 'other' } = response.locals;
      const { method } = request;
      const status = response.writableFinished ? response.statusCode : 499;
      metrics.httpRequests.inc({ method, route, status: String(status) });
      const ms = Math.round(performance.now() - startedAt);
      const level = quietRoutes.has(route) ? 'debug' : 'info';
      logger[level]({ requestId, method, route, status, ms, tenant }, 'request');
    });
    next();
  };
