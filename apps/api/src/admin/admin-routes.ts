import {
  adminBatch,
  adminBatchPage,
  adminBatchQuery,
  cancelledBatches,
  tenantList,
  tenantParams,
} from './admin-schemas.ts';
import { cancelAnyBatch } from './cancel-any-batch.ts';
import { cancelTenant } from './cancel-tenant.ts';
import { listAnyBatches } from './list-any-batches.ts';
import { listTenants } from './list-tenants.ts';
import { batchParams } from '../batches/batch-schemas.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { changeLane } from '../lanes/change-lane.ts';
import { changeLaneBody, lane, laneParams } from '../lanes/lane-schemas.ts';
import { type AnyRoute, route } from '../route.ts';
import { reportAnyUsage } from '../spending/report-usage.ts';
import { adminUsageQuery, usageList } from '../spending/spending-schemas.ts';

/** The routes for those who have an admin key. */
export const createAdminRoutes = (dependencies: ApiDependencies): AnyRoute[] => [
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
    method: 'post',
    path: '/v1/admin/lanes/{lane}',
    summary: 'Change the limits of a lane while it runs',
    tag: 'Admin',
    audit: 'lane.change',
    admin: true,
    params: laneParams,
    body: changeLaneBody,
    answer: { description: 'The lane, with the limits that are in force now.', schema: lane },
    handle: changeLane(dependencies),
  }),
];
