import { type BatchObject, costLimitName, isTerminal } from '@promptmill/core';
import { formatCount, formatDuration, formatRate, formatShortCount, formatUsd } from '@promptmill/core/display';
import { printableLine } from '../terminal.ts';

export interface ProgressState {
  readonly batch: BatchObject;
  /** How many requests ended per second in the last 15 s. */
  readonly perSecond: number;
  /** How many tokens, in and out, the answers of the last 15 s used per second. */
  readonly tokensPerSecond: number;
}

const doneOf = ({ request_counts: { completed, failed } }: BatchObject): number => completed + failed;

/** 0 to 100. It is 100 only once the batch is terminal, its files published. */
export const percentOf = (batch: BatchObject): number => {
  const { total } = batch.request_counts;
  if (total > 0 && isTerminal(batch.status)) return 100;
  return total === 0 ? 0 : Math.min(99, Math.floor((doneOf(batch) / total) * 100));
};

interface Wait {
  /** Short: `waiting for xai`. */
  readonly what: string;
  /** In the words of who makes it wait; it may be long. */
  readonly why?: string;
}

/** What keeps a batch from going on, if anything does. */
export const waitOf = ({ status, promptmill }: BatchObject): Wait | undefined => {
  const { blocked, paused_at: pausedAt } = promptmill;
  if (blocked) return { what: status, why: printableLine(blocked.message) };
  if (status !== 'in_progress') return undefined;
  const [held] = promptmill.waiting_for;
  if (held?.lane === costLimitName) return { what: 'waiting for money', why: printableLine(held.reason) };
  if (pausedAt !== null) return { what: 'paused' };
  return held && { what: `waiting for ${held.lane}`, why: printableLine(held.message ?? held.reason) };
};

/** A part of the line: as it reads with plenty of room, then shorter and shorter. An empty text leaves it out. */
type Part = readonly [string, ...string[]];

type Parts = Readonly<Record<'percent' | 'counts' | 'failed' | 'rate' | 'tokens' | 'spent' | 'stage', Part>>;

const none: Part = [''];

const stageOf = ({ batch, perSecond }: ProgressState): Part => {
  const wait = waitOf(batch);
  if (wait) return wait.why === undefined ? [wait.what] : [`${wait.what}: ${wait.why}`, wait.what, 'waiting'];
  if (batch.status !== 'in_progress') return [batch.status];
  const left = batch.request_counts.total - doneOf(batch);
  return perSecond > 0 ? [`${formatDuration(left / perSecond)} left`] : ['waiting for answers', 'waiting'];
};

const spentOf = ({ promptmill: { cost } }: BatchObject): Part => {
  if (!cost.spent) return none;
  const spent = formatUsd(cost.spent);
  return cost.estimated === null ? [spent] : [`${spent} of about ${formatUsd(cost.estimated)}`, spent];
};

const partsOf = (state: ProgressState): Parts => {
  const { batch, perSecond, tokensPerSecond } = state;
  const { total, failed } = batch.request_counts;
  const done = doneOf(batch);
  const isRunning = batch.status === 'in_progress' && perSecond > 0;
  const counts = `${formatCount(done)}/${formatCount(total)}`;
  return {
    percent: [`${percentOf(batch)} %`],
    counts: [`${counts} done`, counts, `${formatShortCount(done)}/${formatShortCount(total)}`],
    failed: failed > 0 ? [`${formatCount(failed)} failed`, `${formatShortCount(failed)} failed`] : none,
    rate: isRunning ? [`${formatRate(perSecond)}/s`, ''] : none,
    tokens: isRunning && tokensPerSecond > 0 ? [`${formatRate(tokensPerSecond)} tokens/s`, ''] : none,
    spent: spentOf(batch),
    stage: stageOf(state),
  };
};

const lineOf = (parts: Parts): string =>
  Object.values(parts)
    .map(([text]) => text)
    .filter((text) => text !== '')
    .join(' · ');

/** `42 % · 840/2,000 done · 3 failed · 49/s · 12,000 tokens/s · $0.42 of about $1.00 · 24 s left` */
export const progressText = (state: ProgressState): string => lineOf(partsOf(state));

/** Which part becomes shorter next when the line is too long: what is missed least comes first. */
const shortenings: readonly (keyof Parts)[] = [
  'stage',
  'tokens',
  'spent',
  'counts',
  'rate',
  'counts',
  'failed',
  'stage',
  'stage',
];

const maxBarColumns = 40;
const minBarColumns = 8;

const shortened = (parts: Parts, name: keyof Parts): Parts => {
  const [, next, ...rest] = parts[name];
  return next === undefined ? parts : { ...parts, [name]: [next, ...rest] };
};

/** The line with no more parts shortened than it takes to fit, or with all of them. */
const fit = (parts: Parts, columns: number): string => {
  let fitting = parts;
  for (const name of shortenings) {
    if (lineOf(fitting).length <= columns) break;
    fitting = shortened(fitting, name);
  }
  return lineOf(fitting);
};

/**
 * The same with a bar before it, for a terminal with this many columns: there, a long reason to wait stands above the line.
 * It has no colours, so it reads the same without them.
 */
export const progressBar = (state: ProgressState, columns: number): string => {
  const parts = partsOf(state);
  // The last column stays free: a terminal may wrap the line there.
  const room = columns - 1;
  const text = fit(parts, room - minBarColumns - 1);
  if (text.length > room - minBarColumns - 1) return fit(parts, room).slice(0, Math.max(0, room));
  const barColumns = Math.min(maxBarColumns, room - text.length - 1);
  const filled = Math.round((percentOf(state.batch) / 100) * barColumns);
  return `${'█'.repeat(filled)}${'░'.repeat(barColumns - filled)} ${text}`;
};
