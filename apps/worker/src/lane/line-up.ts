import type { Lane, RequestJob } from '@promptmill/core';
import { type LaneTurns, priorityOf } from '@promptmill/queue';
import type { Job } from 'bullmq';

export interface LineUpOptions {
  readonly lane: Lane;
  readonly turns: Pick<LaneTurns, 'takeOne'>;
  readonly weightOf: (tenant: string) => number;
}

/** Puts the job of a request to the end of its tenant's line. It comes back there when it has been put back. */
export type LineUp = (job: Job<RequestJob>) => Promise<void>;

export const createLineUp =
  ({ lane, turns, weightOf }: LineUpOptions): LineUp =>
  async (job) => {
    const position = await turns.takeOne(lane, job.data, { weight: weightOf(job.data.tenant), isNew: false });
    await job.changePriority({ priority: priorityOf(job.data, position) });
  };
