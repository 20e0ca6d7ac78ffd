import type { CallEnd, LaneAnswer, LaneControl } from '@promptmill/queue';
import type { FreePass } from './free-pass.ts';
import type { EndReporter } from './report-ends.ts';

/** The right to make one call. Its holder reports how the call ended. */
export interface Admission {
  /** Says that the call goes out now. False when that is too late: the lane may not count the call any more. */
  send(): boolean;
  /** Says how the call ended. */
  reportEnd(end: Omit<CallEnd, 'grantedAtMs' | 'countedAtMs' | 'estimatedTokens' | 'count'>): Promise<void>;
}

/** What a lane said when it admitted a call. */
export type Grant = Pick<LaneAnswer, 'atMs' | 'isProbe' | 'sendWithinMs'>;

export interface MakeAdmissionOptions {
  readonly control: Pick<LaneControl, 'countLate' | 'reportEnd'>;
  readonly freePass: Pick<FreePass, 'revoke'>;
  readonly ends: Pick<EndReporter, 'add'>;
  /** Called when a call's end begins a hold of the lane, once for all workers together. */
  readonly onHold: (reason: string, heldUntilMs: number) => void;
  /** Called when the lane knows how a probe ended. */
  readonly onProbeEnd: () => void;
  readonly onError: (error: unknown) => void;
}

/**
 * A call that goes out later than this after its question, for example on a cold connection, counts from when it goes
 * out.
 */
const punctualMs = 25;

/**
 * Makes admissions. `askedAtMs` is the time of the question that admitted the call, in milliseconds of
 * `performance.now()`.
 */
export const createMakeAdmission =
  ({ control, freePass, ends, onHold, onProbeEnd, onError }: MakeAdmissionOptions) =>
  (estimatedTokens: number, grant: Grant, askedAtMs: number): Admission => {
    const { atMs: grantedAtMs, isProbe, sendWithinMs = Infinity } = grant;
    let counted: Promise<number | undefined> | undefined;

    const countLate = async (): Promise<number | undefined> => {
      try {
        return await control.countLate({ grantedAtMs, estimatedTokens });
      } catch (error) {
        onError(error);
        return undefined;
      }
    };

    return {
      send() {
        const lateMs = performance.now() - askedAtMs;
        if (lateMs > sendWithinMs) return false;
        if (lateMs > punctualMs && sendWithinMs < Infinity) counted = countLate();
        return true;
      },
      async reportEnd(end) {
        if (end.signal === 'ok' && !isProbe && estimatedTokens === 0) return ends.add(grantedAtMs);
        if (end.signal !== 'none' && end.signal !== 'unsent') freePass.revoke();
        const countedAtMs = await counted;
        const { heldUntilMs, began } = await control.reportEnd({ ...end, grantedAtMs, countedAtMs, estimatedTokens });
        if (heldUntilMs > 0) freePass.revoke();
        if (began) onHold(end.reason ?? end.signal, heldUntilMs);
        if (isProbe) onProbeEnd();
      },
    };
  };
