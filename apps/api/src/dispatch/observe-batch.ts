import { type Batch, type Blocked, type HeldLane, limitsCalls, stallOf, type Tenants } from '@promptmill/core';
import {
  type BatchSnapshot,
  type BatchStore,
  type LaneState,
  type Shards,
  shardsQueueName,
  type TenantCalls,
} from '@promptmill/queue';
import { createSeenBatches } from '../seen-batches.ts';
import type { TellWebhooks } from '../webhooks/tell-webhooks.ts';

export interface ObserveBatchOptions {
  readonly batches: BatchStore;
  readonly shards: Pick<Shards, 'list'>;
  readonly laneState: (lane: string) => Promise<LaneState>;
  /** Whether a batch stands still while it waits for this lane: its requests have no other way. */
  readonly mayStall: (lane: string) => boolean;
  readonly limitsOf: Tenants['limitsOf'];
  /** Which limit keeps calls of a tenant waiting. */
  readonly refusal: TenantCalls['refusal'];
  readonly tell: TellWebhooks;
  readonly now: () => number;
}

/** No provider has such a name, so no lane has. */
const tenantLimitName = 'tenant_limit';

const everyMs = 1000;
/** A lane's state is read once in this time, for all batches that use it. */
const laneStateMs = 500;
/** Weight of the latest second in the running rate. */
const weight = 0.3;
/** A collector reads new results within about 1 s, and claims those of a dead collector within 8 s. */
const noCollectorAfterMs = 10_000;
const noCollector: Blocked = {
  code: 'no_collector',
  message: 'No collector takes the results. The batch goes on when one runs.',
};

interface Seen {
  readonly atMs: number;
  readonly settled: number;
  readonly rate: number | undefined;
  readonly collected: number;
  /** Since when results wait and none has been collected. */
  readonly stuckSinceMs: number;
}

/** Notes about once a second how fast a batch runs, and whether it waits for held lanes or a collector. Tells the webhooks of a stall. */
export const createObserveBatch = ({
  batches,
  shards,
  laneState,
  mayStall,
  limitsOf,
  refusal,
  tell,
  now,
}: ObserveBatchOptions) => {
  const seen = createSeenBatches<Seen>();

  const laneStates = new Map<string, { readonly atMs: number; readonly state: Promise<LaneState> }>();

  const stateOf = (lane: string): Promise<LaneState> => {
    const known = laneStates.get(lane);
    if (known && now() < known.atMs + laneStateMs) return known.state;
    const state = laneState(lane);
    laneStates.set(lane, { atMs: now(), state });
    return state;
  };

  const heldLanes = async (lanes: readonly string[]): Promise<HeldLane[]> => {
    const states = await Promise.all(lanes.map(async (lane) => ({ lane, ...(await stateOf(lane)) })));
    return states.flatMap(({ lane, heldUntilMs, reason = '' }) =>
      heldUntilMs === undefined ? [] : [{ lane, reason, heldUntilMs }],
    );
  };

  /** Tells that the batch has waited for a held lane for too long. */
  const tellStalls = async (batch: Batch, lanes: readonly string[]): Promise<void> => {
    for (const lane of lanes) {
      const { heldSinceMs, reason = '' } = await stateOf(lane);
      const event =
        heldSinceMs === undefined ? undefined : stallOf(batch, { lane, reason, sinceMs: heldSinceMs }, now());
      if (event) await tell(batch, event);
    }
  };

  /** What keeps the batch's calls waiting when its tenant has reached a limit, in the place of a lane. */
  const tenantLimit = async (tenant: string): Promise<HeldLane[]> => {
    const limits = limitsOf(tenant);
    const refused = limitsCalls(limits) ? await refusal(tenant, now()) : undefined;
    if (!refused) return [];
    const { limit, untilMs } = refused;
    const reason = `You have reached your limit ${limit}: ${limits[limit]}.`;
    return [{ lane: tenantLimitName, reason, heldUntilMs: untilMs }];
  };

  /** What keeps shards waiting, in the place of a lane. */
  const waitingShards = async (batchId: string): Promise<HeldLane[]> => {
    const open = (await shards.list(batchId)).filter(({ state }) => state.status === 'open');
    const reasons = new Set(open.flatMap(({ state: { reason } }) => reason ?? []));
    return [...reasons].map((reason) => ({ lane: shardsQueueName, reason }));
  };

  return async ({ batch, state }: BatchSnapshot): Promise<void> => {
    const atMs = now();
    const settled = batch.completed + batch.failed;
    const before = seen.get(batch.id);
    if (before && atMs < before.atMs + everyMs) return;
    const latest = before && ((settled - before.settled) * 1000) / (atMs - before.atMs);
    const rate = latest === undefined ? undefined : (before?.rate ?? latest) * (1 - weight) + latest * weight;
    const { positions, collected, uncollected } = state;
    const stuck = uncollected > 0 && collected === before?.collected;
    const stuckSinceMs = stuck ? before.stuckSinceMs : atMs;
    seen.note(batch.id, { atMs, settled, rate, collected, stuckSinceMs });
    await batches.noteProgress(batch.id, {
      at: Math.floor(atMs / 1000),
      completed: batch.completed,
      failed: batch.failed,
      retries: batch.retries ?? 0,
    });
    if (!batch.blocked && atMs >= stuckSinceMs + noCollectorAfterMs) await batches.block(batch.id, noCollector);
    const isWaiting = state.outstanding > 0;
    const waitingFor = [
      ...(await heldLanes(Object.keys(positions))),
      ...(isWaiting ? await tenantLimit(batch.tenant) : []),
      ...(state.openShards > 0 ? await waitingShards(batch.id) : []),
    ];
    if (isWaiting && batch.pausedAt === undefined) await tellStalls(batch, Object.keys(positions).filter(mayStall));
    const isKnown =
      rate === batch.requestsPerSecond && JSON.stringify(waitingFor) === JSON.stringify(batch.waitingFor ?? []);
    if (!isKnown)
      await batches.observe(batch.id, { ...(rate === undefined ? {} : { requestsPerSecond: rate }), waitingFor });
  };
};
