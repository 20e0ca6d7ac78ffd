import express, { type Express, type Router } from 'express';
import helmet from 'helmet';
import { createAuthenticate, requireTenant } from './authenticate.ts';
import { boardPath } from './bull-board.ts';
import type { ApiDependencies } from './dependencies.ts';
import { createDocsPage } from './docs-page.ts';
import { answerNotFound, createAnswerError } from './errors.ts';
import { createLargeBodies } from './large-bodies.ts';
import { createOpenApiDocument } from './openapi.ts';
import { createRedisGuard } from './redis-guard.ts';
import { createRequestLog, identifyRequest, nameRoute } from './request-log.ts';
import { mountRoute } from './route.ts';
import { createRoutes } from './routes.ts';

/** Parsed, a body takes up to some twenty times its bytes. */
const largeBodyLimits = { maxBytes: 16 * 2 ** 20, maxTenantBytes: 8 * 2 ** 20, maxWaitMs: 5000, maxWaiting: 16 };

/** The Express app: authentication, the routes and error answers. */
export const createApp = (dependencies: ApiDependencies, board: Router): Express => {
  const { config, redis, logger, metrics } = dependencies;
  const routes = createRoutes(dependencies);
  const openApi = createOpenApiDocument(routes);
  const closed = [requireTenant(createAuthenticate(config.apiKeys)), createRedisGuard(redis)];

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(identifyRequest, createRequestLog(logger, metrics));
  app.use(
    helmet({
      // Nothing here is a page; `/docs` and Bull Board set policies of their own. A proxy does TLS, and so HSTS.
      contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
      strictTransportSecurity: false,
    }),
  );
  const largeBodies = createLargeBodies(largeBodyLimits);
  for (const route of routes) mountRoute(app, route, { closed, largeBodies });
  app.get('/openapi.json', (_request, response) => {
    response.json(openApi);
  });
  app.use('/docs', nameRoute('/docs'), createDocsPage());
  app.use(boardPath, nameRoute(boardPath), board);
  app.use(answerNotFound);
  app.use(createAnswerError(logger));
  return app;
};
