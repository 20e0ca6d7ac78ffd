import type { LaneAnswer } from '@promptmill/queue';
import type { Grant } from './admission.ts';

/** How long a free pass lasts. A volley of calls then asks Redis once. */
const freeMs = 20;

/**
 * For a moment after Redis has said that nothing limits a lane, calls go without a question. They count as admitted at
 * the time of Redis's answer, so they do not end a hold that another process has begun since.
 */
export const createFreePass = () => {
  let pass: { readonly grant: Grant; readonly untilMs: number } | undefined;
  let revocations = 0;

  return {
    /** The grant at this time, in milliseconds of `performance.now()`. Undefined when there is none. */
    grantAt(nowMs: number): Grant | undefined {
      return pass && nowMs < pass.untilMs ? pass.grant : undefined;
    },
    /**
     * Called before a question to Redis; returns a function that takes the answer. When the pass is revoked in between,
     * the answer does not renew it: Redis may have given it before it knew the reason.
     */
    awaitAnswer(): (answer: LaneAnswer) => void {
      const revocationsBefore = revocations;
      return (answer) => {
        if (!answer.isFree || revocations !== revocationsBefore) return;
        pass = { grant: answer, untilMs: performance.now() + freeMs };
      };
    },
    /** Something may limit or hold the lane now. */
    revoke(): void {
      pass = undefined;
      revocations++;
    },
  };
};

export type FreePass = ReturnType<typeof createFreePass>;
