import { createLiveRoutes } from './live/live-routes.ts';
import { createConversionRoutes } from './conversions/conversion-routes.ts';
import { createFileRoutes } from './files/file-routes.ts';
import { createUploadRoutes } from './uploads/upload-routes.ts';
import { createBatchRoutes } from './batches/batch-routes.ts';
import { callerObject, showCaller } from './access/show-caller.ts';
import { createAdminRoutes } from './admin/admin-routes.ts';
import { createWebhookRoutes } from './webhooks/webhook-routes.ts';
import { z } from 'zod';
import type { ApiDependencies } from './dependencies.ts';
import { reportLive, reportMetrics, reportReady } from './health.ts';
import { laneList } from './lanes/lane-schemas.ts';
import { listLanes } from './lanes/list-lanes.ts';
import { getModel } from './models/get-model.ts';
import { listModels } from './models/list-models.ts';
import { modelList, modelObject, modelParams } from './models/model-schemas.ts';
import { type AnyRoute, route } from './route.ts';
import { reportUsage } from './spending/report-usage.ts';
import { usageList, usageQuery } from './spending/spending-schemas.ts';

const health = z.object({ status: z.literal('ok') });

/** Every route of the API. Bull Board and the pages of the documentation are mounted beside them. */
export const createRoutes = (dependencies: ApiDependencies): AnyRoute[] => [
  ...createLiveRoutes(dependencies),
  ...createFileRoutes(dependencies),
  ...createConversionRoutes(dependencies),
  ...createUploadRoutes(dependencies),
  ...createBatchRoutes(dependencies),
  ...createWebhookRoutes(dependencies),
  ...createAdminRoutes(dependencies),
  route({
    method: 'get',
    path: '/v1/lanes',
    summary: 'List lanes',
    tag: 'Lanes',
    answer: { description: 'Every lane: what it does, what it waits for.', schema: laneList },
    handle: listLanes(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/usage',
    summary: 'Show what you have used and spent, by day, model or batch',
    tag: 'Usage',
    query: usageQuery,
    answer: { description: 'A sum for each day, model or batch with answers.', schema: usageList },
    handle: reportUsage(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/models',
    summary: 'List models',
    tag: 'Models',
    answer: {
      description: 'Models that the configuration names. A provider’s other models work as `provider/model` too.',
      schema: modelList,
    },
    handle: listModels(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/models/{model}',
    slashes: true,
    summary: 'Retrieve a model that may be used; its name may hold slashes, encoded or not',
    tag: 'Models',
    params: modelParams,
    answer: { description: 'The model.', schema: modelObject },
    handle: getModel(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/caller',
    summary: 'Show whose key this is',
    tag: 'Service',
    answer: { description: 'The tenant, and whether the key is an admin key.', schema: callerObject },
    handle: showCaller,
  }),
  route({
    method: 'get',
    path: '/livez',
    summary: 'Check that the process lives',
    tag: 'Service',
    open: true,
    answer: { description: 'The process lives.', schema: health },
    handle: reportLive,
  }),
  route({
    method: 'get',
    path: '/readyz',
    summary: 'Check that the process can do its work',
    tag: 'Service',
    open: true,
    answer: { description: 'The process can do its work.', schema: health },
    handle: reportReady(dependencies),
  }),
  route({
    method: 'get',
    path: '/metrics',
    summary: 'Metrics for Prometheus',
    tag: 'Service',
    metrics: true,
    answer: { description: 'The metrics.', type: 'text/plain' },
    handle: reportMetrics(dependencies),
  }),
];
