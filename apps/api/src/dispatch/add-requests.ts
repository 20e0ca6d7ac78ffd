import {
  answerSchemaOf,
  type Batch,
  deadlineNearMs,
  flexLaneOf,
  fullModelName,
  type LaneTable,
  flexPatienceMs,
  mayStepUp,
  mayUseModel,
  modelNotAllowed,
  noUsage,
  type RequestFallback,
  type RequestJob,
  type RetryPolicy,
  type Route,
  type TenantLimits,
  type Tenants,
  toResult,
  toFlexBody,
  tracedRequests,
} from '@promptmill/core';
import { type Cursor, type LaneTurns, toLaneJob, type ResultRecorder } from '@promptmill/queue';
import type { Queue } from 'bullmq';
import { DispatchBlockedError } from './dispatch-blocked-error.ts';
import type { InputRequest } from './read-requests.ts';

export interface AddRequestsOptions {
  readonly lanes: LaneTable;
  readonly queueOf: (lane: string) => Queue<RequestJob>;
  readonly turns: Pick<LaneTurns, 'take'>;
  readonly tenants: Pick<Tenants, 'limitsOf' | 'weightOf'>;
  readonly retry: RetryPolicy;
  readonly recorder: Pick<ResultRecorder, 'record'>;
}

export interface AddedRequests {
  /** For each lane that the batch's requests have come to: the position after the last. */
  readonly positions: Cursor['positions'];
  /** The most batches that the tenant has in one of the chunk's lanes. 0 when the chunk was empty. */
  readonly batchesInLane: number;
  /** Whether the chunk is ahead of others of its tenant in one of its lanes. */
  readonly isAhead: boolean;
}

/**
 * Adds a chunk of a batch's requests to their lanes, in order, behind those that are there. Adding a request whose job
 * exists changes nothing. A request whose model its tenant may not use gets an error as its result. Throws
 * DispatchBlockedError `no_lane`.
 */
export const createAddRequests = ({ lanes, queueOf, turns, tenants, retry, recorder }: AddRequestsOptions) => {
  interface Placed {
    readonly lane: string;
    readonly job: RequestJob;
    readonly isAllowed: boolean;
  }

  const toJob = (batch: Batch, limits: TenantLimits, { index, request, bytes }: InputRequest): Placed => {
    const { customId, url, body } = request;
    const route = lanes.route(body.model);
    if (!route)
      throw new DispatchBlockedError(
        'no_lane',
        `No provider in the configuration takes the model ${body.model} any more.`,
      );
    const { lane } = route;
    const flex = flexLaneOf(lane, request, batch.tier);
    const mayUse = (to: Route): boolean => limits.models === undefined || mayUseModel(limits, fullModelName(to));
    const others = lane.fallback.filter((model) => {
      const next = lanes.route(model);
      return next && mayUse(next);
    });
    const stepsUp = flex !== undefined && mayStepUp(lane);
    const fallback = stepsUp ? [fullModelName(route), ...others] : others;
    const job: RequestJob = {
      tenant: batch.tenant,
      batchId: batch.id,
      index,
      customId,
      url,
      body: { ...(flex ? toFlexBody(body) : body), model: route.model },
      bytes,
      ...(batch.trace && index < tracedRequests ? { traceparent: batch.trace.traceparent } : {}),
      ...(batch.checkSchema && answerSchemaOf(url, body) !== undefined ? { checkSchema: true } : {}),
      ...(fallback.length > 0 ? { fallback: { models: fallback, ...fallbackTerms(batch, stepsUp) } } : {}),
    };
    return { lane: (flex ?? lane).name, job, isAllowed: mayUse(route) };
  };

  const fallbackTerms = (batch: Batch, stepsUp: boolean): Omit<RequestFallback, 'models'> => {
    const nearMs = deadlineNearMs(batch);
    if (!stepsUp) return { deadlineNearMs: nearMs };
    // The other half of that time is for the standard call.
    const giveUpAtMs = (nearMs + batch.expiresAt * 1000) / 2;
    return { deadlineNearMs: nearMs, patienceMs: flexPatienceMs(batch), giveUpAtMs };
  };

  const refuse = async (job: RequestJob, model: string): Promise<void> => {
    const { status, line } = toResult(job, { kind: 'error', ...modelNotAllowed(model) });
    await recorder.record(job, status, line, noUsage);
  };

  const addToLane = async ({ id, tenant }: Batch, lane: string, jobs: readonly RequestJob[], isNew: boolean) => {
    const user = { tenant, weight: tenants.weightOf(tenant), batchId: id, isNew };
    const { positions, batches, isAhead } = await turns.take(lane, user, jobs.length);
    const end = positions.at(-1) ?? 0;
    await queueOf(lane).addBulk(jobs.map((job, i) => toLaneJob(job, positions[i] ?? end, retry)));
    return { lane, end, batches, isAhead };
  };

  /** @param before the positions that the batch's last chunk gave */
  return async (
    batch: Batch,
    requests: readonly InputRequest[],
    before: Cursor['positions'],
  ): Promise<AddedRequests> => {
    const limits = tenants.limitsOf(batch.tenant);
    const byLane = new Map<string, RequestJob[]>();
    const refused: Promise<void>[] = [];
    for (const request of requests) {
      const { lane, job, isAllowed } = toJob(batch, limits, request);
      if (!isAllowed) {
        refused.push(refuse(job, request.request.body.model));
        continue;
      }
      const jobs = byLane.get(lane);
      if (jobs) jobs.push(job);
      else byLane.set(lane, [job]);
    }
    const [added] = await Promise.all([
      Promise.all([...byLane].map(([lane, jobs]) => addToLane(batch, lane, jobs, before[lane] === undefined))),
      ...refused,
    ]);
    return {
      positions: { ...before, ...Object.fromEntries(added.map(({ lane, end }) => [lane, end])) },
      batchesInLane: Math.max(0, ...added.map(({ batches }) => batches)),
      isAhead: added.some(({ isAhead }) => isAhead),
    };
  };
};

export type AddRequests = ReturnType<typeof createAddRequests>;
