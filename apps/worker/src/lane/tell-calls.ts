import type { LaneControl } from '@promptmill/queue';

/** A call that has ended is told with the next question, or after this time. */
const soonMs = 50;
/** A deployment counts calls for 10 s after they were told last: their process may have died. */
const keepEveryMs = 2000;

export interface TellCallsOptions {
  readonly control: Pick<LaneControl, 'endCall' | 'tellCalls'>;
  readonly onError: (error: unknown) => void;
}

/** Keeps a deployment's count of the calls that this process has in flight. */
export const createTellCalls = ({ control, onError }: TellCallsOptions) => {
  const tell = (): void => void control.tellCalls().catch(onError);
  const keeper = setInterval(tell, keepEveryMs);
  let timer: NodeJS.Timeout | undefined;
  return {
    /** Says that a call has ended. */
    end(): void {
      control.endCall();
      timer ??= setTimeout(() => {
        timer = undefined;
        tell();
      }, soonMs);
    },
    async close(): Promise<void> {
      clearInterval(keeper);
      clearTimeout(timer);
      await control.tellCalls();
    },
  };
};
