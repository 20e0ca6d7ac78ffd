import type { RequestJob } from '@promptmill/core';
import type { CallResult } from '@promptmill/provider';
import type { JobLock, LaneHold } from '@promptmill/queue';
import type { Job } from 'bullmq';
import type { Ending } from './decide.ts';
import type { Fallback } from './lane/fallback.ts';
import type { LiveRun } from './live-requests.ts';
import type { TenantShare } from './tenant/tenant-gate.ts';

/** What a run of a request's job has. */
export interface RequestRun {
  readonly lock: JobLock;
  readonly fallback: Fallback | undefined;
  /** Set for a live call. */
  readonly live: LiveRun | undefined;
  /** Fires when the request is to be given up. */
  readonly signal: AbortSignal;
  /** Lets the worker take one job more until this one ends. */
  readonly lendPlace: () => void;
  /** The upstreams of the lane at which the request has failed. */
  readonly avoid: Set<string>;
}

/** A request that is to be called: its batch wants it, and its tenant may make a call. */
export interface WantedRequest {
  readonly job: Job<RequestJob>;
  readonly request: RequestJob;
  readonly run: RequestRun;
  /** Undefined where its tenant's calls are not limited. */
  readonly share: TenantShare | undefined;
  /** 0 while the lane does not limit tokens. */
  readonly estimatedTokens: number;
  /** When its batch was last known to want it, in milliseconds of `performance.now()`. */
  readonly sinceMs: number;
  /** Whether it is the first call of this run of the job. */
  readonly isFirst: boolean;
}

/** How a call ended. */
export interface CallEnd {
  readonly result: CallResult;
  /** How long it took, in milliseconds. */
  readonly callMs: number;
  /** What the lane answered. Undefined when its answer is not awaited. */
  readonly hold: LaneHold | undefined;
  /** The upstream that it went to. */
  readonly upstream: string;
}

/** How the call for a request ended, or how its job ends without one. */
export type Called = CallEnd | { readonly ending: Ending };
