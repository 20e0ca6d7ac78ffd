import type { Endpoint } from './endpoints.ts';
import type { Route } from './lanes.ts';

/**
 * Whether requests of a batch go through their provider's own batch API, which costs less and takes longer. `auto`: when
 * the batch has the time and is large enough. `cheapest`: whatever its size and its time. `fastest`: those that their lane's
 * limit would not let in in time. `live`: never.
 */
export const strategies = ['auto', 'cheapest', 'fastest', 'live'] as const;
export type Strategy = (typeof strategies)[number];

/** A provider's own batch API. */
export interface BatchApi {
  /** OpenAI's Files and Batch API. */
  readonly wire: 'openai';
  /** The `completion_window` that its batches get. */
  readonly window: string;
  /** Most lines of one of its batches. */
  readonly maxLines: number;
  /** Most bytes of one of its input files. */
  readonly maxBytes: number;
  /** What it asks for a token, as a share of the price of a live call. */
  readonly priceShare: number;
}

/**
 * A range of a batch's requests that goes through the provider's batch API together. Of the requests in its range it has
 * those that name its model and are handed off.
 */
export interface Shard {
  /** 0-based, in its batch. */
  readonly number: number;
  readonly provider: string;
  /** The provider's own name for the model. */
  readonly model: string;
  readonly url: Endpoint;
  /** The indexes of its first and last request. */
  readonly first: number;
  readonly last: number;
  readonly requests: number;
  /** Where the first one's line starts in the input: byte offset and 1-based number. */
  readonly offset: number;
  readonly line: number;
  /** When it is given up, so that what it lacks runs live before the batch's deadline, in Unix milliseconds. */
  readonly giveUpAtMs: number;
}

/** How far a shard is. */
export interface ShardState {
  /**
   * `open`: it is on its way to the provider, or there. `returning`: it has ended, and its requests without a result get
   * jobs. `ended`: nothing is left to do.
   */
  readonly status: 'open' | 'returning' | 'ended';
  /** How many batches the provider has refused for it, for lack of room in its queue. */
  readonly round: number;
  /** The provider's id of its input file. */
  readonly fileId?: string;
  /** The provider's id of its batch. */
  readonly batchId?: string;
  /** Whether the provider was asked to cancel it. */
  readonly cancelled?: true;
  /** How many requests have got their results from it. Set when it has ended. */
  readonly answered?: number;
  /** Why it ended without all results, or what it waits for. */
  readonly reason?: string;
  /** While it is `returning`: the place of the next request to look at. */
  readonly next?: { readonly index: number; readonly offset: number; readonly line: number };
}

/**
 * Whether a handed-off request in a shard's range is of the shard. One whose model no lane takes any more is.
 *
 * @param route of its model
 */
export const isOfShard = ({ provider, model }: Shard, route: Route | undefined): boolean =>
  route === undefined || (route.lane.provider.name === provider && route.model === model);

export const newShardState: ShardState = { status: 'open', round: 0 };

/** What of a batch was handed off. */
export interface HandedOff {
  readonly requests: number;
  /** Those of them that have no result and no job. */
  readonly waiting: number;
  readonly shards: number;
  /** Shards on their way to the provider, or there. */
  readonly open: number;
}

/** The BullMQ job of a shard, also what the provider's batch is named after. BullMQ forbids `:` in job ids. */
export const shardJobIdOf = (batchId: string, number: number): string => `${batchId}-shard-${number}`;

/**
 * How long a provider may take to cancel a batch of its own, in milliseconds. OpenAI: up to 10 minutes.
 * Source: https://platform.openai.com/docs/api-reference/batch/cancel
 */
export const shardCancelMs = 15 * 60_000;

/** With `auto`, fewer requests of a model are not worth the wait. */
const worthHandingOff = 500;

/** The fewest requests of a model that are handed off; Infinity when none are. Windows are in seconds. */
export const fewestToHandOff = (
  strategy: Strategy,
  { windowSeconds, providerWindowSeconds }: { readonly windowSeconds: number; readonly providerWindowSeconds: number },
): number => {
  if (strategy === 'live') return Infinity;
  if (strategy === 'cheapest' || strategy === 'fastest') return 1;
  return windowSeconds >= providerWindowSeconds ? worthHandingOff : Infinity;
};

/** The part of its window in which a batch's requests are to run live with `fastest`. The rest is for what comes back. */
const liveShareOfWindow = 1 / 2;

/**
 * How many requests of a model run live before any is handed off.
 *
 * @param perSecond how many live calls the lane lets in; undefined when it does not limit them
 */
export const liveBeforeHandOff = (
  strategy: Strategy,
  { windowSeconds, perSecond = Infinity }: { readonly windowSeconds: number; readonly perSecond?: number | undefined },
): number => (strategy === 'fastest' ? Math.floor(windowSeconds * liveShareOfWindow * perSecond) : 0);

/** How much longer than its limit says a lane may take for what comes back. */
const liveSlack = 1.5;

/**
 * When a batch's shards are given up, in Unix milliseconds: a quarter of its time before its deadline, or as long before as
 * its lane's limit of requests takes for all of them, up to half of its time.
 *
 * @param requests those that are handed off to one model
 * @param perSecond how many live calls the lane lets in; undefined when it does not limit them
 */
export const giveUpAtMs = (
  { createdAt, expiresAt }: { readonly createdAt: number; readonly expiresAt: number },
  requests: number,
  perSecond: number | undefined,
): number => {
  const windowMs = (expiresAt - createdAt) * 1000;
  const liveMs = perSecond === undefined ? 0 : (requests / perSecond) * 1000 * liveSlack;
  return expiresAt * 1000 - Math.min(windowMs / 2, Math.max(windowMs / 4, liveMs));
};
