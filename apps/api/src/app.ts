import express, { type Express, type Router } from 'express';
import helmet from 'helmet';
import { createAudit } from './access/audit.ts';
import { createRefuseForeign } from './access/refuse-foreign.ts';
import { createAuthenticate, requireMetricsToken, requireTenant } from './authenticate.ts';
import { boardPath } from './bull-board.ts';
import type { ApiDependencies } from './dependencies.ts';
import { discardBody } from './discard-body.ts';
import { createDocsPage } from './docs-page.ts';
import { answerNotFound, createAnswerError } from './errors.ts';
import { createLargeBodies } from './large-bodies.ts';
import { createOpenApiDocument } from './openapi.ts';
import { createPage } from './page/create-page.ts';
import { createRedisGuard } from './redis-guard.ts';
import { createRequestLog, identifyRequest, nameRoute } from './request-log.ts';
import { mountRoute } from './route.ts';
import { createRoutes } from './routes.ts';
import { forbidStoring } from './forbid-storing.ts';

/** Parsed, a body takes up to some twenty times its bytes. */
const largeBodyLimits = { maxBytes: 16 * 2 ** 20, maxTenantBytes: 8 * 2 ** 20, maxWaitMs: 5000, maxWaiting: 16 };

/** The Express app: authentication, the routes and error answers. */
export const createApp = (dependencies: ApiDependencies, board: Router): Express => {
  const { config, isKeyless, logins, ring, redis, logger, metrics } = dependencies;
  const routes = createRoutes(dependencies);
  const openApi = createOpenApiDocument(routes);
  const authenticate = createAuthenticate(ring);
  const guards = {
    closed: [requireTenant(authenticate, logins, dependencies.present), createRedisGuard(redis)],
    metrics: requireMetricsToken(config.metricsToken, { authenticate, isKeyless, logins }),
    largeBodies: createLargeBodies(largeBodyLimits),
  };

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('trust proxy', config.trustProxy ?? false);
  app.use(identifyRequest, createRequestLog(logger, metrics), createAudit(logger), discardBody);
  app.use(
    helmet({
      // What is a page sets a policy of its own: `/`, `/docs` and Bull Board. A proxy does TLS, and so HSTS.
      contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
      strictTransportSecurity: false,
    }),
  );
  app.use(createRefuseForeign(config, isKeyless));
  app.use(createPage(dependencies));
  app.use('/docs', nameRoute('/docs'), createDocsPage());
  app.use(boardPath, nameRoute(boardPath), board);
  app.use(forbidStoring);
  for (const route of routes) mountRoute(app, route, guards);
  app.get('/openapi.json', (_request, response) => {
    response.json(openApi);
  });
  app.use(answerNotFound);
  app.use(createAnswerError(logger));
  return app;
};
