import type { ProviderClient } from '@promptmill/provider';
import type { LaneControl } from '@promptmill/queue';
import { publicReasonOf, reasonOf } from '../decide.ts';

/** A provider that does not list its models within this time gives no verdict. */
const lookTimeoutMs = 3000;

export interface NeutralLookOptions {
  readonly client: Pick<ProviderClient, 'look'>;
  readonly control: Pick<LaneControl, 'reportLook'>;
  readonly onHold: (reason: string, heldUntilMs: number) => void;
  readonly onError: (error: unknown) => void;
  readonly giveUp: AbortSignal;
}

/**
 * Finds out whether a provider takes the key, without any request's call. The lane counts no look in its windows: it is
 * no call to a model, and at most two of them are made in 5 s by all workers together.
 */
export const createNeutralLook =
  ({ client, control, onHold, onError, giveUp }: NeutralLookOptions) =>
  async (atMs: number): Promise<void> => {
    try {
      const look = await client.look(AbortSignal.any([giveUp, AbortSignal.timeout(lookTimeoutMs)]));
      if (giveUp.aborted) return;
      const reason = look.verdict === 'refused' ? publicReasonOf(look.failure) : '';
      const { began, heldUntilMs } = await control.reportLook({ verdict: look.verdict, atMs, reason });
      if (began && look.verdict === 'refused') onHold(reasonOf(look.failure), heldUntilMs);
    } catch (error) {
      onError(error);
    }
  };
