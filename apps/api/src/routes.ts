import { endpoints } from '@promptmill/core';
import { z } from 'zod';
import {
  adminBatch,
  adminBatchPage,
  adminBatchQuery,
  cancelledBatches,
  tenantList,
  tenantParams,
} from './admin/admin-schemas.ts';
import { cancelAnyBatch } from './admin/cancel-any-batch.ts';
import { cancelTenant } from './admin/cancel-tenant.ts';
import { listAnyBatches } from './admin/list-any-batches.ts';
import { listTenants } from './admin/list-tenants.ts';
import {
  batchObject,
  batchPage,
  batchParams,
  batchQuery,
  eventsQuery,
  resultsPage,
  resultsQuery,
} from './batches/batch-schemas.ts';
import { createBatchBody, createBatchKind, retryBatchBody } from './batches/create-batch-schemas.ts';
import { cancelBatch } from './batches/cancel-batch.ts';
import { createBatch } from './batches/create-batch.ts';
import { getBatch } from './batches/get-batch.ts';
import { listBatches } from './batches/list-batches.ts';
import { pauseBatch } from './batches/pause-batch.ts';
import { readResults } from './batches/read-results.ts';
import { resumeBatch } from './batches/resume-batch.ts';
import { retryBatch } from './batches/retry-batch.ts';
import { watchEvents } from './batches/watch-events.ts';
import type { ApiDependencies } from './dependencies.ts';
import { deleteFile } from './files/delete-file.ts';
import {
  deletedFile,
  fileObject,
  filePage,
  fileParams,
  fileQuery,
  rangeHeader,
  uploadForm,
} from './files/file-schemas.ts';
import { getFile } from './files/get-file.ts';
import { listFiles } from './files/list-files.ts';
import { readFileContent } from './files/read-file-content.ts';
import { uploadFile } from './files/upload-file.ts';
import { reportLive, reportMetrics, reportReady } from './health.ts';
import { idempotencyHeaders } from './idempotency.ts';
import { laneList, listLanes } from './list-lanes.ts';
import { answerLiveCall, liveCallBody } from './live/answer-live-call.ts';
import { getModel } from './models/get-model.ts';
import { listModels } from './models/list-models.ts';
import { modelList, modelObject, modelParams } from './models/model-schemas.ts';
import { cancelResponse } from './responses/cancel-response.ts';
import { deleteResponse } from './responses/delete-response.ts';
import { getResponse } from './responses/get-response.ts';
import { deletedResponse, responseObject, responseParams, responseQuery } from './responses/response-schemas.ts';
import { type AnyRoute, route } from './route.ts';
import { addPart } from './uploads/add-part.ts';
import { cancelUpload } from './uploads/cancel-upload.ts';
import { completeUpload } from './uploads/complete-upload.ts';
import { createUpload } from './uploads/create-upload.ts';
import {
  completeUploadBody,
  createUploadBody,
  partForm,
  partObject,
  uploadObject,
  uploadParams,
} from './uploads/upload-schemas.ts';
import { estimateBatch } from './spending/estimate-batch.ts';
import { reportAnyUsage, reportUsage } from './spending/report-usage.ts';
import { adminUsageQuery, batchEstimate, usageList, usageQuery } from './spending/spending-schemas.ts';

const inlineLimit = { maxBytes: 4 * 2 ** 20, instead: 'Upload the prompts as a file instead (POST /v1/files).' };
const health = z.object({ status: z.literal('ok') });

/** Every route of the API. Bull Board and the pages of the documentation are mounted beside them. */
export const createRoutes = (dependencies: ApiDependencies): AnyRoute[] => [
  ...endpoints.map((path) =>
    route({
      method: 'post',
      path,
      summary: 'Call a model, in its lane and within its limits, and wait for the answer',
      tag: 'Live calls',
      headers: idempotencyHeaders,
      body: liveCallBody,
      bodyLimit: { maxBytes: 8 * 2 ** 20, instead: '' },
      answer: { description: 'The answer of the provider, as it came; a stream when `stream` is true.' },
      handle: answerLiveCall(path, dependencies),
    }),
  ),
  route({
    method: 'get',
    path: '/v1/responses/{response_id}',
    summary: 'Retrieve a background response',
    tag: 'Live calls',
    params: responseParams,
    query: responseQuery,
    answer: { description: 'The response: how it stands, and once there is one the answer.', schema: responseObject },
    handle: getResponse(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/responses/{response_id}/cancel',
    summary: 'Cancel a background response',
    tag: 'Live calls',
    audit: 'response.cancel',
    params: responseParams,
    answer: { description: 'The response: cancelled, or as it ended before.', schema: responseObject },
    handle: cancelResponse(dependencies),
  }),
  route({
    method: 'delete',
    path: '/v1/responses/{response_id}',
    summary: 'Delete a background response; one that is under way is cancelled',
    tag: 'Live calls',
    audit: 'response.delete',
    params: responseParams,
    answer: { description: 'The response is gone.', schema: deletedResponse },
    handle: deleteResponse(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/files',
    summary: 'Upload an input file',
    tag: 'Files',
    audit: 'file.create',
    headers: idempotencyHeaders,
    form: uploadForm,
    answer: { description: 'The file. A problem in it fails a batch that is made from it.', schema: fileObject },
    handle: uploadFile(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/files',
    summary: 'List files',
    tag: 'Files',
    query: fileQuery,
    answer: { description: 'A page of files.', schema: filePage },
    handle: listFiles(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/files/{file_id}',
    summary: 'Retrieve a file',
    tag: 'Files',
    params: fileParams,
    answer: { description: 'The file.', schema: fileObject },
    handle: getFile(dependencies),
  }),
  route({
    method: 'delete',
    path: '/v1/files/{file_id}',
    summary: 'Delete a file that no running batch needs',
    tag: 'Files',
    audit: 'file.delete',
    params: fileParams,
    answer: { description: 'The file is gone.', schema: deletedFile },
    handle: deleteFile(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/files/{file_id}/content',
    summary: 'Download a file',
    tag: 'Files',
    params: fileParams,
    headers: rangeHeader,
    answer: { description: 'The content; 206 with a range of it.', type: 'application/octet-stream' },
    handle: readFileContent(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/uploads',
    summary: 'Begin to upload an input file in parts',
    tag: 'Uploads',
    audit: 'upload.create',
    body: createUploadBody,
    answer: { description: 'The upload. It expires in an hour.', schema: uploadObject },
    handle: createUpload(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/uploads/{upload_id}/parts',
    summary: 'Add a part to an upload, in any order and at the same time as others',
    tag: 'Uploads',
    params: uploadParams,
    form: partForm,
    answer: { description: 'The part.', schema: partObject },
    handle: addPart(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/uploads/{upload_id}/complete',
    summary: 'Make one input file of the parts of an upload',
    tag: 'Uploads',
    audit: 'upload.complete',
    params: uploadParams,
    body: completeUploadBody,
    answer: {
      description:
        'The upload with its file. The same call again gives the same file. While it takes long, spaces come before ' +
        'the object; an error after 30 s cuts the connection, and the same call again says what it was.',
      schema: uploadObject,
    },
    handle: completeUpload(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/uploads/{upload_id}/cancel',
    summary: 'Cancel an upload',
    tag: 'Uploads',
    audit: 'upload.cancel',
    params: uploadParams,
    answer: { description: 'The upload, cancelled.', schema: uploadObject },
    handle: cancelUpload(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/batches',
    summary: 'Create a batch, from an input file or from prompts',
    tag: 'Batches',
    audit: 'batch.create',
    headers: idempotencyHeaders,
    body: createBatchBody,
    bodyKind: createBatchKind,
    bodyLimit: inlineLimit,
    answer: { description: 'The batch, about to be validated.', schema: batchObject },
    handle: createBatch(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/batches/estimate',
    summary: 'Estimate what a batch would use and cost, and make nothing',
    tag: 'Batches',
    body: createBatchBody,
    bodyKind: createBatchKind,
    bodyLimit: inlineLimit,
    answer: { description: 'The estimate.', schema: batchEstimate },
    handle: estimateBatch(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/batches',
    summary: 'List batches',
    tag: 'Batches',
    query: batchQuery,
    answer: { description: 'A page of batches, newest first.', schema: batchPage },
    handle: listBatches(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/batches/{batch_id}',
    summary: 'Retrieve a batch',
    tag: 'Batches',
    params: batchParams,
    answer: { description: 'The batch.', schema: batchObject },
    handle: getBatch(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/batches/{batch_id}/cancel',
    summary: 'Cancel a batch',
    tag: 'Batches',
    audit: 'batch.cancel',
    params: batchParams,
    answer: { description: 'The batch, being cancelled.', schema: batchObject },
    handle: cancelBatch(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/batches/{batch_id}/pause',
    summary: 'Pause a batch: no further call is made for it; its deadline stands',
    tag: 'Batches',
    audit: 'batch.pause',
    params: batchParams,
    answer: { description: 'The batch, paused.', schema: batchObject },
    handle: pauseBatch(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/batches/{batch_id}/resume',
    summary: 'Let a paused batch go on',
    tag: 'Batches',
    audit: 'batch.resume',
    params: batchParams,
    answer: { description: 'The batch, running.', schema: batchObject },
    handle: resumeBatch(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/batches/{batch_id}/retry',
    summary: 'Run requests of an ended batch again, as a new batch: all that failed, or those named',
    tag: 'Batches',
    audit: 'batch.retry',
    params: batchParams,
    headers: idempotencyHeaders,
    body: retryBatchBody,
    answer: { description: 'The new batch, about to be validated.', schema: batchObject },
    handle: retryBatch(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/batches/{batch_id}/results',
    summary: 'Read results while the batch runs, and after',
    tag: 'Batches',
    params: batchParams,
    query: resultsQuery,
    answer: { description: 'A page of results.', schema: resultsPage },
    handle: readResults(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/batches/{batch_id}/events',
    summary: 'Watch a batch',
    tag: 'Batches',
    params: batchParams,
    query: eventsQuery,
    answer: {
      description:
        'Server-sent events: `progress` with the batch when it changes, `done` with it at its end, and when asked for, ' +
        '`delta` with `{"custom_id", "index", "offset", "delta"}`: text of the choice `index` that begins at `offset` ' +
        '(UTF-16 code units), and `"done": true` once that answer is complete. A slow reader misses deltas, and an ' +
        'attempt that breaks off is followed by one from offset 0; the result is always whole.',
      type: 'text/event-stream',
    },
    handle: watchEvents(dependencies),
  }),
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
    path: '/v1/admin/tenants',
    summary: 'List tenants with what they use',
    tag: 'Admin',
    admin: true,
    answer: { description: 'Every tenant that has a key, a file or a batch.', schema: tenantList },
    handle: listTenants(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/admin/tenants/{tenant}/cancel',
    summary: 'Cancel all batches of a tenant',
    tag: 'Admin',
    audit: 'tenant.cancel',
    admin: true,
    params: tenantParams,
    answer: { description: 'The batches that are being cancelled.', schema: cancelledBatches },
    handle: cancelTenant(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/admin/usage',
    summary: 'Show what tenants have used and spent',
    tag: 'Admin',
    admin: true,
    query: adminUsageQuery,
    answer: { description: 'A sum for each tenant, day or model with answers.', schema: usageList },
    handle: reportAnyUsage(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/admin/batches',
    summary: 'List batches of any tenant',
    tag: 'Admin',
    admin: true,
    query: adminBatchQuery,
    answer: { description: 'A page of batches, newest first.', schema: adminBatchPage },
    handle: listAnyBatches(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/admin/batches/{batch_id}/cancel',
    summary: 'Cancel a batch of any tenant',
    tag: 'Admin',
    audit: 'batch.cancel',
    admin: true,
    params: batchParams,
    answer: { description: 'The batch, being cancelled.', schema: adminBatch },
    handle: cancelAnyBatch(dependencies),
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
