import { type Batch, type CostLimit, type CostLimits, usdToNanos } from '@promptmill/core';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys } from '../keys.ts';
import { groupCalls } from '../results/group-calls.ts';
import { createUsageRecords, dayOf } from '../usage/usage-records.ts';

const account = new URL('./cost-account.lua', import.meta.url);
const at = (name: string): URL => new URL(`./${name}.lua`, import.meta.url);
type Most = number | '';

const reserveCost = defineScript<
  string[],
  [lastsMs: number, perDay: Most, perMonth: Most, day: string, spentBefore: number, ...calls: (string | number)[]],
  (number | CostLimit)[]
>(at('reserve-cost'), account);
const keepCost = defineScript<string[], [lastsMs: number, ...members: string[]], null>(at('keep-cost'), account);
const settleCost = defineScript<string[], [day: string, ...calls: string[]], 1[]>(at('settle-cost'), account);
const lookAtCost = defineScript<
  string[],
  [perDay: Most, perMonth: Most, day: string, spentBefore: number],
  [limit: CostLimit | '', isInFlight: 0 | 1, spent: string, most: string]
>(at('look-at-cost'), account);

/** Whose calls share an average cost: those of a batch, or the live calls of a tenant. */
export interface CostSource {
  readonly tenant: string;
  /** Absent for live calls. */
  readonly batchId?: string;
}

/** A call that asks for money. */
export interface PricedCall {
  readonly id: string;
  /** The model that is called, as `provider/model`. */
  readonly model: string;
  /** What it may cost at first sight, in billionths of a dollar. It counts until the average is known. */
  readonly firstNanoUsd: number;
}

export interface ReservedCost {
  readonly kind: 'reserved';
  readonly id: string;
  readonly model: string;
  readonly nanoUsd: number;
}

export type ReserveAnswer = ReservedCost | { readonly kind: 'refused'; readonly limit: CostLimit };

/** What a look at a batch found that a limit of its cost holds. Amounts are in billionths of a dollar. */
export type CostLook =
  | { readonly kind: 'open' }
  | {
      readonly kind: 'held';
      readonly limit: CostLimit;
      readonly isInFlight: boolean;
      readonly spent: number;
      readonly most: number;
    };

/** What a call's worker does not keep is free again after this time. */
export const reservedCostLastsMs = 10_000;

/** What was spent on earlier days changes no more, but for calls that end around midnight. */
const spentBeforeLastsMs = 60_000;
const maxKnown = 1000;

const memberOf = ({ id, nanoUsd }: ReservedCost): string => `${id} ${nanoUsd}`;

/**
 * What calls in flight are expected to cost, so that all workers together stay within the `max_cost` of batches and the
 * limits of tenants. Only calls that such a limit concerns are told to it.
 */
export const createReservedCosts = (
  redis: RedisConnection,
  keys: Keys,
  limitsOf: (tenant: string) => CostLimits,
  now: () => number = Date.now,
) => {
  const usage = createUsageRecords(redis, keys);
  const spentBefore = new Map<string, { readonly day: string; readonly atMs: number; readonly sum: Promise<number> }>();

  const sumBefore = async (tenant: string, today: string): Promise<number> => {
    const dayCount = Number(today.slice(8)) - 1;
    const days = Array.from({ length: dayCount }, (_, i) => `${today.slice(0, 8)}${String(i + 1).padStart(2, '0')}`);
    const models = (await Promise.all(days.map((day) => usage.ofDay(tenant, day)))).flat();
    return models.reduce((sum, { spentNanoUsd, wastedNanoUsd }) => sum + spentNanoUsd + wastedNanoUsd, 0);
  };

  /** What a tenant has spent in this month before today. It is read again once a minute. */
  const spentBeforeToday = (tenant: string, day: string): Promise<number> => {
    const known = spentBefore.get(tenant);
    if (known?.day === day && now() < known.atMs + spentBeforeLastsMs) return known.sum;
    if (spentBefore.size >= maxKnown) spentBefore.clear();
    const sum = sumBefore(tenant, day);
    spentBefore.set(tenant, { day, atMs: now(), sum });
    sum.catch(() => spentBefore.delete(tenant));
    return sum;
  };

  const termsOf = async (tenant: string): Promise<[perDay: Most, perMonth: Most, day: string, spentBefore: number]> => {
    const { usdPerDay, usdPerMonth } = limitsOf(tenant);
    const day = dayOf(now());
    return [
      usdPerDay === undefined ? '' : usdToNanos(usdPerDay),
      usdPerMonth === undefined ? '' : usdToNanos(usdPerMonth),
      day,
      usdPerMonth === undefined ? 0 : await spentBeforeToday(tenant, day),
    ];
  };

  const tenantKeys = (tenant: string) => [keys.tenantCosts(tenant), keys.tenantReserved(tenant)];
  const accountKeys = ({ tenant, batchId }: CostSource): string[] => [
    ...tenantKeys(tenant),
    ...(batchId === undefined ? [] : [keys.batchCosts(batchId), keys.batchReserved(batchId)]),
  ];
  const limitKeys = ({ tenant, batchId }: CostSource): string[] => [
    ...tenantKeys(tenant),
    keys.usage(tenant, dayOf(now())),
    ...(batchId === undefined ? [] : [keys.batch(batchId), keys.batchCosts(batchId), keys.batchReserved(batchId)]),
  ];
  const nameOf = ({ tenant, batchId }: CostSource): string => JSON.stringify([tenant, batchId]);
  const sourceOf = (name: string): CostSource => {
    const [tenant, batchId] = JSON.parse(name) as [string, string | null];
    return { tenant, ...(batchId === null ? {} : { batchId }) };
  };

  const reserve = groupCalls(async (name: string, calls: readonly PricedCall[]): Promise<ReserveAnswer[]> => {
    const source = sourceOf(name);
    const asked = calls.flatMap(({ id, model, firstNanoUsd }) => [id, model, firstNanoUsd]);
    const terms = await termsOf(source.tenant);
    const answers = await reserveCost(redis, limitKeys(source), [reservedCostLastsMs, ...terms, ...asked]);
    return calls.map(({ id, model }, i) => {
      const answer = answers[i] ?? 0;
      return typeof answer === 'string'
        ? { kind: 'refused', limit: answer }
        : { kind: 'reserved', id, model, nanoUsd: answer };
    });
  });

  const settle = groupCalls((name: string, calls: readonly { reserved: ReservedCost; cost: string }[]) =>
    settleCost(redis, accountKeys(sourceOf(name)), [
      dayOf(now()),
      ...calls.flatMap(({ reserved, cost }) => [memberOf(reserved), reserved.model, cost]),
    ]),
  );

  return {
    /** Reserves what a call is expected to cost. Those of a source that ask in one event-loop turn share one question. */
    reserve: (source: CostSource, call: PricedCall): Promise<ReserveAnswer> => reserve(nameOf(source), call),

    /** Keeps what is reserved for another 10 s. */
    async keep(source: CostSource, reserved: readonly ReservedCost[]): Promise<void> {
      await keepCost(redis, accountKeys(source), [reservedCostLastsMs, ...reserved.map(memberOf)]);
    },

    /**
     * Gives back what was reserved, when the call's cost has been counted.
     *
     * @param cost in billionths of a dollar; `unknown` when the call was answered and nobody knows its cost; undefined
     *   when there was no call, or it failed
     */
    async settle(source: CostSource, reserved: ReservedCost, cost: number | 'unknown' | undefined): Promise<void> {
      await settle(nameOf(source), { reserved, cost: cost === 'unknown' ? '-' : String(cost ?? '') });
    },

    /** Looks whether a batch that a limit holds may go on, and ends its hold then. */
    async look({ id, tenant }: Pick<Batch, 'id' | 'tenant'>): Promise<CostLook> {
      const source = { tenant, batchId: id };
      const [limit, isInFlight, spent, most] = await lookAtCost(redis, limitKeys(source), await termsOf(tenant));
      if (limit === '') return { kind: 'open' };
      return { kind: 'held', limit, isInFlight: isInFlight === 1, spent: Number(spent), most: Number(most) };
    },
  };
};

export type ReservedCosts = ReturnType<typeof createReservedCosts>;
