import type { LaneAnswer } from '@promptmill/queue';
import type { Grant } from './admission.ts';

/** How long a free pass lasts. A volley of calls then asks Redis once. */
const freeMs = 20;

/**
 * A lane that nothing limits lets calls in without a question for a moment after Redis has said so. They count as let in
 * when Redis said it: a hold that another process has begun since then is not ended by them.
 */
export const createFreePass = () => {
  let pass: { readonly grant: Grant; readonly untilMs: number } | undefined;
  let revocations = 0;

  return {
    /** Undefined when there is none at this time, in milliseconds of `performance.now()`. */
    grantAt(nowMs: number): Grant | undefined {
      return pass && nowMs < pass.untilMs ? pass.grant : undefined;
    },
    /**
     * Is called before Redis is asked, and returns what takes the answer. If the pass is revoked in between, the answer
     * does not renew it: Redis gave it before it knew why.
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
