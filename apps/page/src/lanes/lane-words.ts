import { formatCount, formatShortCount, plural } from '@promptmill/core/display';
import type { Lane, LaneLimits } from '../api/answers.ts';

/** What a lane or a deployment does, in a word. */
export interface LaneWord {
  readonly word: string;
  /** As the pills of batches name their colours. */
  readonly kind: 'waiting' | 'in_progress' | 'idle' | 'failed';
}

export const wordFor = (lane: Pick<Lane, 'held_until' | 'has_key' | 'in_flight'> & { waiting?: number }): LaneWord => {
  if (lane.held_until !== null) return { word: 'Held', kind: 'waiting' };
  if (!lane.has_key) return { word: 'No key', kind: 'failed' };
  return lane.in_flight + (lane.waiting ?? 0) > 0
    ? { word: 'Working', kind: 'in_progress' }
    : { word: 'Idle', kind: 'idle' };
};

/** Whether there is something to see: its provider can be called, or it has requests. */
export const isInUse = ({ has_key: hasKey, in_flight: inFlight, waiting }: Lane): boolean =>
  hasKey || inFlight + waiting > 0;

/** `340 of batches, 12 live`; without live calls `340`. */
export const describeWaiting = ({ waiting, live_waiting: live }: Lane): string =>
  live === 0 ? formatCount(waiting) : `${formatCount(waiting - live)} of batches, ${formatCount(live)} live`;

const rateUnits = { requests_per_minute: 'a minute', requests_per_second: 'a second' } as const;

/** What a lane allows, one limit after another: `50 calls in flight`, `480 requests a minute`. */
export const describeLimits = (limits: LaneLimits): string[] => {
  const { concurrency, tokens_per_minute: tokens } = limits;
  const rates = Object.entries(rateUnits).map(([name, unit]) => {
    const rate = limits[name as keyof typeof rateUnits];
    return rate === null ? undefined : `${plural(rate, 'request')} ${unit}`;
  });
  const all = [
    concurrency === null ? undefined : `${plural(concurrency, 'call')} in flight`,
    ...rates,
    tokens === null ? undefined : `${formatShortCount(tokens)} tokens a minute`,
  ];
  return all.filter((each) => each !== undefined);
};

const names = ['concurrency', 'requests_per_minute', 'requests_per_second', 'tokens_per_minute'] as const;

/** Whether an admin has changed a limit. */
export const isChanged = ({ limits, configured_limits: configured }: Lane): boolean =>
  names.some((name) => limits[name] !== configured[name]);

/** The unit in which a lane counts requests: as it is limited now, else as it is configured. */
export const rateOf = ({ limits, configured_limits: configured }: Lane): keyof typeof rateUnits =>
  [limits, configured].some((each) => each.requests_per_second !== null && each.requests_per_minute === null)
    ? 'requests_per_second'
    : 'requests_per_minute';

/**
 * Reads a limit that someone has entered. An empty text is null: as configured. Undefined when it is no limit.
 *
 * @param isWhole whether it must be a whole number
 */
export const parseLimit = (text: string, isWhole: boolean): number | null | undefined => {
  const entered = text.replaceAll(/[\s,]/g, '');
  if (entered === '') return null;
  const value = Number(entered);
  return value > 0 && value <= 1_000_000_000 && (!isWhole || Number.isInteger(value)) ? value : undefined;
};
