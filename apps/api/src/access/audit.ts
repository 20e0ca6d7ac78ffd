import {
  isBatchId,
  isDeliveryId,
  isFileId,
  isResponseId,
  isTenantName,
  isUploadId,
  isWebhookId,
} from '@promptmill/core';
import type { Logger } from '@promptmill/runtime';
import type { RequestHandler } from 'express';
import type { KeyChange } from './key-ring.ts';

/** What a route does that is audited. */
export type AuditAction =
  | 'file.create'
  | 'file.convert'
  | 'file.delete'
  | 'upload.create'
  | 'upload.complete'
  | 'upload.cancel'
  | 'batch.create'
  | 'batch.cancel'
  | 'batch.pause'
  | 'batch.resume'
  | 'batch.retry'
  | 'response.create'
  | 'response.cancel'
  | 'response.delete'
  | 'webhook.create'
  | 'webhook.update'
  | 'webhook.delete'
  | 'webhook.rotate'
  | 'webhook.resend'
  | 'tenant.cancel'
  | 'lane.change';

/** What the audit line of a request says beyond who sent it. */
export interface Audited {
  /** Absent for a route that changes nothing; only refusals of it are audited. */
  readonly action?: AuditAction | undefined;
  /** Ids in the path and of what was made or stopped. */
  readonly ids: string[];
  /** The tenant that an admin's request is about. */
  ofTenant?: string;
}

/** Most ids in one line; `count` says how many there are. */
const maxIds = 100;
const refusals = new Set([401, 403, 429]);

export type AuditKeyChange = (change: KeyChange) => void;

/** The lines are written at any LOG_LEVEL but `silent`. */
const auditLogger = (logger: Logger): Logger =>
  logger.level === 'silent' ? logger : logger.child({ audit: true }, { level: 'info' });

const isAuditedId = (value: string): boolean =>
  [isBatchId, isFileId, isUploadId, isResponseId, isWebhookId, isDeliveryId].some((isId) => isId(value));

/** A path may hold anything; only what is an id or a tenant's name is noted. */
export const noteTarget =
  (action: AuditAction | undefined): RequestHandler<Record<string, string>> =>
  ({ params }, response, next) => {
    const { tenant } = params;
    response.locals.audited = {
      action,
      ids: Object.values(params).filter(isAuditedId),
      ...(tenant !== undefined && isTenantName(tenant) ? { ofTenant: tenant } : {}),
    };
    next();
  };

/** Notes the ids in an answer: of what was made, the file of an upload too, or of all batches that were cancelled. */
export const noteAnswer = (audited: Audited | undefined, answer: unknown): void => {
  if (audited?.action === undefined || typeof answer !== 'object' || answer === null) return;
  const { id, file, tenant, cancelled } = answer as {
    id?: string;
    file?: { id: string } | null;
    tenant?: string;
    cancelled?: readonly string[];
  };
  for (const each of [id, file?.id, ...(cancelled ?? [])])
    if (each !== undefined && !audited.ids.includes(each)) audited.ids.push(each);
  if (tenant !== undefined) audited.ofTenant = tenant;
};

const outcomeOf = (status: number): string => {
  if (status < 400) return 'done';
  if (status === 499) return 'unanswered';
  return status < 500 ? 'refused' : 'failed';
};

/**
 * Writes one line for each request that makes or changes something, and for each refusal (401, 403, 429) of this api, not
 * of a provider: who, from where, what and how it ended. No bodies, queries or headers, and of a key only how it is named.
 */
export const createAudit = (logger: Logger): RequestHandler => {
  const log = auditLogger(logger);
  return (request, response, next) => {
    const address = request.ip;
    response.on('close', () => {
      const { requestId, caller, route = 'other', audited, errorCode, isProvidersAnswer } = response.locals;
      const status = response.writableFinished ? response.statusCode : 499;
      const { action, ids = [], ofTenant } = audited ?? {};
      if (action === undefined && (isProvidersAnswer || !refusals.has(status))) return;
      log.info(
        {
          action: action ?? 'access',
          outcome: outcomeOf(status),
          status,
          code: errorCode,
          tenant: caller?.tenant,
          keyPrefix: caller?.key,
          address,
          requestId,
          method: request.method,
          route,
          ids: ids.slice(0, maxIds),
          ...(ids.length > maxIds ? { count: ids.length } : {}),
          ofTenant,
        },
        'audit',
      );
    });
    next();
  };
};

/** Writes a line when this api takes over a change of a stored key. */
export const createAuditKeyChange = (logger: Logger): AuditKeyChange => {
  const log = auditLogger(logger);
  return ({ action, stored: { tenant, prefix, admin } }) =>
    log.info({ action, outcome: 'done', tenant, keyPrefix: prefix, admin }, 'audit');
};
