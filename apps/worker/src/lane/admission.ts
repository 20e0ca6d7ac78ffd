import type { CallEnd, LaneAnswer, LaneControl } from '@promptmill/queue';
import type { FreePass } from './free-pass.ts';
import type { EndReporter } from './report-ends.ts';

/** The right to make one call. Whoever has it says how the call ended. */
export interface Admission {
  /** The call goes out now. False when it is too late for that: the lane may not count it any more. */
  send(): boolean;
  reportEnd(end: Omit<CallEnd, 'grantedAtMs' | 'countedAtMs' | 'estimatedTokens' | 'count'>): Promise<void>;
}

/** What a lane said when it let a call in. */
export type Grant = Pick<LaneAnswer, 'atMs' | 'isProbe' | 'sendWithinMs'>;

export interface MakeAdmissionOptions {
  readonly control: Pick<LaneControl, 'countLate' | 'reportEnd'>;
  readonly freePass: Pick<FreePass, 'revoke'>;
  readonly ends: Pick<EndReporter, 'add'>;
  /** Called when a call's end begins a hold of the lane, once for the fleet. */
  readonly onHold: (reason: string, heldUntilMs: number) => void;
  /** Called when the lane knows how a probe ended. */
  readonly onProbeEnd: () => void;
  readonly onError: (error: unknown) => void;
}

/** A call that goes out later than this after the question that let it in, as on a cold connection, counts from then on. */
const punctualMs = 25;

/** Makes admissions. `askedAtMs` is when the question was asked that let the call in, by `performance.now()`. */
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
