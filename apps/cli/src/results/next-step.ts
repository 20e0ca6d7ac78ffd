import { type BatchObject, costLimitName, isTerminal } from '@promptmill/core';

/** The command that says what is wrong with a provider whose lane is held until someone acts. */
export const providerStepOf = ({ promptmill }: BatchObject): string | undefined => {
  const [held] = promptmill.waiting_for;
  if (!held || held.lane === costLimitName || held.held_until !== null) return undefined;
  return `promptmill doctor --provider ${held.lane.replace(/\..*$/, '')}`;
};

/** What to type so that a batch on a server goes on; undefined when it does so by itself. */
export const nextStepOf = (batch: BatchObject): string | undefined => {
  const { blocked, max_cost: maxCost, paused_at: pausedAt, waiting_for: waitingFor } = batch.promptmill;
  if (isTerminal(batch.status)) return undefined;
  if (blocked?.code === 'no_collector') return 'promptmill serve has a collector; without it, start one beside the api';
  const [held] = waitingFor;
  // A tenant's limit is open again by itself.
  if (held?.lane === costLimitName)
    return held.held_until === null && maxCost !== null
      ? `promptmill resume ${batch.id} --max-cost ${maxCost * 2}`
      : undefined;
  if (pausedAt !== null) return `promptmill resume ${batch.id}`;
  const step = providerStepOf(batch);
  return step && `${step}, where the workers run`;
};
