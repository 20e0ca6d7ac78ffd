import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { QueueAdapterOptions } from '@bull-board/api/typings/app';
import { ExpressAdapter } from '@bull-board/express';
import { ApiError, type Lane, missingKeyOf } from '@promptmill/core';
import { hasJobs, openLaneQueue, readLaneLimits, type ShardJob, shardsQueueName } from '@promptmill/queue';
import type { Queue } from 'bullmq';
import { type Express, type RequestHandler, Router } from 'express';
import { contentSecurityPolicy } from 'helmet';
import { sameSecret } from './authenticate.ts';
import type { ApiDependencies } from './dependencies.ts';
import { forbidStoring } from './forbid-storing.ts';
import { createRedisGuard } from './redis-guard.ts';
import { shorten } from './shorten.ts';

export const boardPath = '/admin/queues';

/**
 * HTTP Basic. User and password are compared as one text. Where there are API keys but no login, there is no Board: it
 * shows every tenant's data. Source: https://datatracker.ietf.org/doc/html/rfc7617
 */
const createBoardLogin =
  ({
    config: { board },
    isKeyless,
    logins,
  }: Pick<ApiDependencies, 'config' | 'isKeyless' | 'logins'>): RequestHandler =>
  async (request, response, next) => {
    if (!board && isKeyless()) return next();
    if (!board)
      throw new ApiError(404, 'Bull Board is not served here. Set BOARD_USER and BOARD_PASSWORD to have it.', {
        code: 'unknown_url',
      });
    const encoded = /^Basic +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
    const given = Buffer.from(encoded, 'base64').toString();
    await logins.check(request, response, () => {
      if (sameSecret(given, `${board.user}:${board.password}`)) return;
      response.set('www-authenticate', 'Basic realm="Bull Board", charset="UTF-8"');
      throw new ApiError(401, 'Log in to see the queues.', { type: 'invalid_request_error' });
    });
    next();
  };

/** A retry or clean from the board would bypass the batches' records. This also refuses forged requests. */
const refuseChanges: RequestHandler = (request, _response, next) => {
  if (request.method === 'GET' || request.method === 'HEAD') return next();
  throw new ApiError(405, 'Bull Board is read-only here.', { code: 'method_not_allowed' });
};

const boardContentPolicy = contentSecurityPolicy({
  useDefaults: false,
  directives: {
    defaultSrc: ["'self'"],
    // The page has a style element of its own and sets styles of elements. It works without its web font.
    styleSrc: ["'self'", "'unsafe-inline'"],
    imgSrc: ["'self'", 'data:'],
    frameAncestors: ["'none'"],
  },
});

const adapterOf = (queue: Queue, options: Partial<QueueAdapterOptions>): BullMQAdapter => {
  const adapter = new BullMQAdapter(queue, { ...options, readOnlyMode: true });
  adapter.setFormatter('data', (data) => shorten(data));
  adapter.setFormatter('returnValue', (value) => shorten(value));
  return adapter;
};

/** Where the page shows a batch. It asks for a key itself, since a browser cannot send one with a link. */
const linkToBatch = (id: string) => ({ href: `/#/batches/${id}`, displayText: 'Batch' });

/** Bull Board at `/admin/queues`: the batches with their progress, and every lane. Behind its login, and read-only. */
export const createBoard = (
  dependencies: Pick<
    ApiDependencies,
    'config' | 'isKeyless' | 'logins' | 'redis' | 'keys' | 'batchesQueue' | 'webhooksQueue' | 'shardsQueue' | 'logger'
  >,
) => {
  const { config, redis, keys, batchesQueue, webhooksQueue, shardsQueue, logger } = dependencies;
  const batches = adapterOf(batchesQueue, {
    description: 'One job a batch, until its files are written',
    externalJobUrl: ({ id }) => linkToBatch(String(id)),
  });
  const webhooks = adapterOf(webhooksQueue, { description: 'One job an event and URL, until it is delivered' });
  const shards = adapterOf(shardsQueue, {
    description: "One job a part of a batch that goes through its provider's own batch API",
    externalJobUrl: ({ data }) => linkToBatch((data as ShardJob).batchId),
  });
  const hasBatchApi = config.lanes.lanes.some(({ provider }) => provider.batchApi);
  shards.setVisibilityGuard(async () => hasBatchApi || hasJobs(redis, keys, shardsQueueName));
  const laneQueues = config.lanes.lanes.map((lane) => {
    const queue = openLaneQueue(redis, keys, lane.name);
    // The connection's own handler logs the error once. Without a handler here, each queue would print it.
    queue.on('error', (error) => logger.debug({ err: error, queue: lane.name }, 'queue'));
    return { queue, lane };
  });
  /** A lane that can call nobody and has nothing to show is left out. */
  const isShown = async (lane: Lane): Promise<boolean> => {
    const { hasKey = missingKeyOf(lane) === undefined } = await readLaneLimits(redis, keys, lane.name);
    return hasKey || hasJobs(redis, keys, lane.name);
  };
  const lanes = laneQueues.map(({ queue, lane }) => {
    const adapter = adapterOf(queue, {
      displayName: `lane ${lane.name}`,
      description: `Requests to ${lane.provider.name}`,
    });
    adapter.setVisibilityGuard(() => isShown(lane));
    return adapter;
  });
  const serverAdapter = new ExpressAdapter().setBasePath(boardPath);
  createBullBoard({
    queues: [batches, ...lanes, shards, webhooks],
    serverAdapter,
    options: { uiConfig: { boardTitle: 'Promptmill', showWorkers: false, hideDocsLink: true } },
  });

  const router = Router();
  router.use(createBoardLogin(dependencies), refuseChanges, boardContentPolicy);
  router.use('/api', forbidStoring, createRedisGuard(redis));
  const app = serverAdapter.getRouter() as Express;
  app.disable('x-powered-by');
  router.use(app);
  return {
    router,
    async close(): Promise<void> {
      await Promise.all(laneQueues.map(({ queue }) => queue.close()));
    },
  };
};
