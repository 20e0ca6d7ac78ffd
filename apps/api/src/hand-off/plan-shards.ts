import {
  type Batch,
  type BatchApi,
  completionWindowSeconds,
  fewestToHandOff,
  fullModelName,
  giveUpAtMs,
  type Lane,
  type LaneTable,
  limitsCost,
  liveBeforeHandOff,
  mayUseModel,
  type RequestBody,
  type Route,
  type Shard,
  type Tenants,
} from '@promptmill/core';
import type { FileStore, InputRequest } from '@promptmill/files';
import {
  type BatchSnapshot,
  type BatchStore,
  type DispatchedRequests,
  lookAtStates,
  type Shards,
} from '@promptmill/queue';
import { readRequests } from '../dispatch/read-requests.ts';

export interface PlanShardsOptions {
  readonly batches: Pick<BatchStore, 'read'>;
  readonly shards: Pick<Shards, 'plan'>;
  readonly requests: Pick<DispatchedRequests, 'states'>;
  readonly files: FileStore;
  readonly lanes: LaneTable;
  readonly limitsOf: Tenants['limitsOf'];
  readonly now: () => number;
}

const lookEveryMs = 1000;

/** A request and where its line starts. */
interface PlacedRequest {
  readonly index: number;
  readonly offset: number;
  readonly line: number;
  readonly bytes: number;
  readonly inputs: number;
}

/** What of one model is handed off. */
interface ModelPlan {
  readonly lane: Lane;
  readonly model: string;
  readonly batchApi: BatchApi;
  /** Fewer are not handed off. */
  readonly fewest: number;
  /** How many of the next requests run live. */
  live: number;
  /** The first requests, until they are enough. */
  waiting: PlacedRequest[];
  /** How many are handed off. */
  requests: number;
  open: (Omit<Shard, 'number' | 'giveUpAtMs'> & { readonly bytes: number; readonly inputs: number }) | undefined;
}

/** The fewest requests of a model that are handed off. */
const fewestOf = ({ strategy = 'auto', completionWindow }: Batch, { window }: BatchApi): number =>
  fewestToHandOff(strategy, {
    windowSeconds: completionWindowSeconds(completionWindow) ?? 0,
    providerWindowSeconds: completionWindowSeconds(window) ?? 0,
  });

/** How many calls a lane lets in a second; undefined when it does not limit them. */
const perSecondOf = ({ limits: { requests } }: Lane): number | undefined =>
  requests && (requests.count * 1000) / requests.windowMs;

/** How many requests of a lane's model run live before any is handed off. */
const liveOf = ({ strategy = 'auto', completionWindow }: Batch, lane: Lane): number =>
  liveBeforeHandOff(strategy, {
    windowSeconds: completionWindowSeconds(completionWindow) ?? 0,
    perSecond: perSecondOf(lane),
  });

/**
 * How many inputs a request has. OpenAI counts those of embeddings.
 * Source: https://platform.openai.com/docs/api-reference/batch/create
 */
const inputsOf = ({ input }: RequestBody, url: Batch['endpoint']): number =>
  url === '/v1/embeddings' && Array.isArray(input) && typeof input[0] !== 'number' ? input.length : 1;

/** Each line gets a custom_id and the provider's name for its model, which may make it longer than it was. */
const addedBytes = 128;

/**
 * Decides, before a batch's first request is dispatched, which of its requests go through their provider's batch API, and
 * splits those of each model by the provider's limits. It reads the input once. Throws DispatchBlockedError.
 */
export const createPlanShards = (options: PlanShardsOptions) => {
  const { batches, shards, requests, files, lanes, limitsOf, now } = options;

  /** Whether requests of the batch may be handed off at all. A limit of costs is kept call by call. */
  const mayHandOff = (batch: Batch): boolean => {
    const { tenant, model, maxCostNanoUsd, total, strategy, tier } = batch;
    // Who names a tier wants calls in that tier.
    if (strategy === undefined && tier !== undefined) return false;
    if (maxCostNanoUsd !== undefined || limitsCost(limitsOf(tenant))) return false;
    const only = model === undefined ? undefined : lanes.route(model)?.lane;
    const possible = model === undefined ? lanes.lanes : only ? [only] : [];
    return possible.some((lane) => {
      const { batchApi } = lane.provider;
      return batchApi && liveOf(batch, lane) + fewestOf(batch, batchApi) <= total;
    });
  };

  const planOf = (batch: Batch, route: Route | undefined): ModelPlan | undefined => {
    const batchApi = route?.lane.provider.batchApi;
    const limits = limitsOf(batch.tenant);
    if (!route || !batchApi || (limits.models && !mayUseModel(limits, fullModelName(route)))) return undefined;
    const fewest = fewestOf(batch, batchApi);
    const { lane, model } = route;
    return fewest > batch.total
      ? undefined
      : { lane, model, batchApi, fewest, live: liveOf(batch, lane), waiting: [], requests: 0, open: undefined };
  };

  const plan = async (snapshot: BatchSnapshot): Promise<void> => {
    const { batch } = snapshot;
    const { id, total, endpoint: url } = batch;
    const bits = Buffer.alloc(Math.ceil(total / 8));
    /** By the names that requests give them. A model may have several. */
    const named = new Map<string, ModelPlan | undefined>();
    /** By `provider/model`. */
    const models = new Map<string, ModelPlan | undefined>();
    const closed: Omit<Shard, 'number' | 'giveUpAtMs'>[] = [];

    const planNamed = (name: string): ModelPlan | undefined => {
      if (named.has(name)) return named.get(name);
      const route = lanes.route(name);
      const key = route ? fullModelName(route) : name;
      const of = models.has(key) ? models.get(key) : planOf(batch, route);
      models.set(key, of);
      named.set(name, of);
      return of;
    };

    const close = (of: ModelPlan): void => {
      if (!of.open) return;
      const { bytes: _bytes, inputs: _inputs, ...shard } = of.open;
      closed.push(shard);
      of.open = undefined;
    };

    const add = (of: ModelPlan, { index, offset, line, bytes, inputs }: PlacedRequest): void => {
      const { maxLines, maxBytes } = of.batchApi;
      if (of.open && (of.open.inputs + inputs > maxLines || of.open.bytes + bytes > maxBytes)) close(of);
      const shard = of.open ?? {
        provider: of.lane.provider.name,
        model: of.model,
        url,
        first: index,
        offset,
        line,
        requests: 0,
        bytes: 0,
        inputs: 0,
      };
      const { requests: before } = shard;
      of.open = {
        ...shard,
        last: index,
        requests: before + 1,
        bytes: shard.bytes + bytes,
        inputs: shard.inputs + inputs,
      };
      of.requests++;
      bits[index >> 3] = (bits[index >> 3] ?? 0) | (0x80 >> (index & 7));
    };

    const wants = (of: ModelPlan, request: PlacedRequest): void => {
      if (of.live-- > 0) return;
      of.waiting.push(request);
      if (of.waiting.length + of.requests < of.fewest) return;
      for (const each of of.waiting) add(of, each);
      of.waiting = [];
    };

    const stateOf = lookAtStates(requests, id);
    /** Whether a request needs no call: it repeats another, or has a copy. */
    const needsNone = async (index: number): Promise<boolean> => {
      const { isRepeat, isSettled } = await stateOf(index);
      return isRepeat || isSettled;
    };
    let place = { offset: 0, line: 1 };
    let nextLookMs = now() + lookEveryMs;
    for await (const request of readRequests(files, batch.inputFileId, { index: 0, ...place })) {
      const {
        index,
        request: { body },
      } = request;
      if (index >= total) break;
      const of = planNamed(body.model);
      const placed = placedOf(request, place, inputsOf(body, url));
      place = { offset: request.nextOffset, line: request.nextLine };
      if (of && body['stream'] !== true && placed.bytes <= of.batchApi.maxBytes && !(await needsNone(index)))
        wants(of, placed);
      if (now() < nextLookMs) continue;
      // Reading a large input takes a while, in which the batch may be cancelled.
      nextLookMs = now() + lookEveryMs;
      if ((await batches.read(id))?.state.stopping !== undefined) return;
    }
    for (const of of models.values()) if (of) close(of);
    const plans: Shard[] = [];
    for (const shard of closed) {
      const of = models.get(`${shard.provider}/${shard.model}`);
      const untilMs = giveUpAtMs(batch, of?.requests ?? shard.requests, of && perSecondOf(of.lane));
      plans.push({ number: plans.length, ...shard, giveUpAtMs: untilMs });
    }
    await shards.plan(id, plans, bits);
  };

  return { mayHandOff, plan };
};

const placedOf = (
  { index, bytes }: InputRequest,
  { offset, line }: { readonly offset: number; readonly line: number },
  inputs: number,
): PlacedRequest => ({ index, offset, line, bytes: bytes + addedBytes, inputs });
