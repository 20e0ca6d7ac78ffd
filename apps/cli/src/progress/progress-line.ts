import { type BatchObject, costLimitName, isTerminal } from '@promptmill/core';
import { formatCount, formatDuration } from '../format.ts';
import { printableLine } from '../terminal.ts';

export interface ProgressState {
  readonly batch: BatchObject;
  /** How many requests ended per second in the last 15 s. */
  readonly perSecond: number;
}

const doneOf = ({ request_counts: { completed, failed } }: BatchObject): number => completed + failed;

/** 0 to 100. It is 100 only once the batch is terminal, its files published. */
export const percentOf = (batch: BatchObject): number => {
  const { total } = batch.request_counts;
  if (total > 0 && isTerminal(batch.status)) return 100;
  return total === 0 ? 0 : Math.min(99, Math.floor((doneOf(batch) / total) * 100));
};

const stageOf = ({ batch, perSecond }: ProgressState): string => {
  const left = batch.request_counts.total - doneOf(batch);
  const { blocked } = batch.promptmill;
  if (blocked) return `${batch.status}: ${printableLine(blocked.message)}`;
  if (batch.status !== 'in_progress') return batch.status;
  const [held] = batch.promptmill.waiting_for;
  if (held?.lane === costLimitName) return `waiting: ${printableLine(held.reason)}`;
  if (batch.promptmill.paused_at !== null) return 'paused';
  if (held) return `waiting for ${held.lane}: ${printableLine(held.message ?? held.reason)}`;
  return perSecond > 0 ? `${formatDuration(left / perSecond)} left` : 'waiting for answers';
};

const formatRate = (perSecond: number): string =>
  `${perSecond < 10 ? perSecond.toFixed(1) : formatCount(Math.round(perSecond))}/s`;

/** `42 % · 840/2,000 done · 3 failed · 49/s · 24 s left` */
export const progressText = (state: ProgressState): string => {
  const { total, failed } = state.batch.request_counts;
  return [
    `${percentOf(state.batch)} %`,
    `${formatCount(doneOf(state.batch))}/${formatCount(total)} done`,
    ...(failed > 0 ? [`${formatCount(failed)} failed`] : []),
    ...(state.perSecond > 0 && state.batch.status === 'in_progress' ? [formatRate(state.perSecond)] : []),
    stageOf(state),
  ].join(' · ');
};

const maxBarColumns = 40;
const minBarColumns = 10;

/** {@link progressText} with a bar before it, short enough for a terminal with this many columns. */
export const progressBar = (state: ProgressState, columns: number): string => {
  const text = progressText(state);
  const room = Math.min(maxBarColumns, columns - text.length - 2);
  if (room < minBarColumns) return text.slice(0, Math.max(0, columns - 1));
  const filled = Math.round((percentOf(state.batch) / 100) * room);
  return `${'█'.repeat(filled)}${'░'.repeat(room - filled)} ${text}`;
};
