import type { BatchObject } from '@promptmill/core';
import { canPause, formatCount, isTerminal, plural } from '@promptmill/core/display';
import type { ApiClient, RetryChoice } from '../api/api-client.ts';
import { html } from '../html.ts';
import { formatCost } from '../parts/format.ts';
import type { Question } from '../parts/ask-first.ts';

/** What may be done with a batch now. */
export interface Allowed {
  readonly pause: boolean;
  readonly resume: boolean;
  readonly raiseLimit: boolean;
  readonly cancel: boolean;
  readonly retry: boolean;
}

export const allowedFor = ({ status, promptmill, request_counts: counts }: BatchObject): Allowed => {
  const isOpen = canPause(status);
  const isPaused = promptmill.paused_at !== null;
  const hasReachedLimit = promptmill.waiting_for.some(({ lane }) => lane === 'cost_limit');
  const didNotRun = counts.total - counts.completed - counts.failed;
  return {
    pause: isOpen && !isPaused,
    resume: isOpen && isPaused && !(hasReachedLimit && promptmill.max_cost !== null),
    raiseLimit: isOpen && promptmill.max_cost !== null,
    cancel: isOpen,
    retry: isTerminal(status) && status !== 'failed' && counts.failed + didNotRun > 0,
  };
};

interface Does {
  readonly client: ApiClient;
  /** Shows the batch as it is after a change. */
  readonly onBatch: (batch: BatchObject) => void;
  /** Goes to a new batch. */
  readonly onNew: (id: string) => void;
}

/** The questions before each change of a batch: what will happen is said first. */
export const questionsFor = (batch: BatchObject, { client, onBatch, onNew }: Does) => {
  const { id, promptmill, request_counts: counts } = batch;
  const left = counts.total - counts.completed - counts.failed;
  const spent = (promptmill.cost.spent ?? 0) + (promptmill.cost.wasted ?? 0);
  const retry = (choice: RetryChoice) => async () => onNew((await client.retryBatch(id, choice)).id);
  return {
    pause: (): Question => ({
      title: 'Pause this batch?',
      text: 'No call begins from 2 seconds after that until it is resumed. Calls in flight end and count. Its deadline stands.',
      act: 'Pause',
      onAct: async () => onBatch(await client.pauseBatch(id)),
    }),
    resume: (): Question => ({
      title: 'Resume this batch?',
      text: `It goes on where it was: ${plural(left, 'request')} ${left === 1 ? 'has' : 'have'} no result yet.`,
      act: 'Resume',
      onAct: async () => onBatch(await client.resumeBatch(id)),
    }),
    raiseLimit: (): Question => ({
      title: 'Raise the cost limit?',
      text: `It has spent ${formatCost(spent)} of ${formatCost(promptmill.max_cost)}. With a higher limit it goes on until it has spent that.`,
      act: 'Set the limit',
      amount: {
        label: 'It may cost at most, in USD',
        value: Number(((promptmill.max_cost ?? 0) * 2).toPrecision(3)),
        above: spent,
      },
      onAct: async (amount) => onBatch(await client.resumeBatch(id, amount)),
    }),
    cancel: (): Question => ({
      title: 'Cancel this batch?',
      text: `${plural(left, 'request')} will not run. ${formatCount(counts.completed)} answers that are there are kept, and calls in flight may still end. A cancelled batch cannot go on, but what did not run can be retried as a new batch.`,
      act: 'Cancel the batch',
      isHarmful: true,
      onAct: async () => onBatch(await client.cancelBatch(id)),
    }),
    retryAll: (): Question => ({
      title: 'Retry what failed?',
      text: `A new batch runs ${plural(counts.total - counts.completed, 'request')} again: all that failed or did not run. This batch stays as it is. The calls cost money again.`,
      act: 'Make the batch',
      onAct: retry({}),
    }),
    retryCode: (code: string, count: number): Question => ({
      title: `Retry what failed with ${code}?`,
      text: `A new batch runs ${plural(count, 'request')} again. This batch stays as it is. The calls cost money again.`,
      act: 'Make the batch',
      onAct: retry({ error_codes: [code] }),
    }),
  };
};

export interface ActionsProps {
  readonly allowed: Allowed;
  readonly questions: ReturnType<typeof questionsFor>;
  readonly onAsk: (question: Question) => void;
}

export const Actions = ({ allowed, questions, onAsk }: ActionsProps) => {
  const button = (isShown: boolean, word: string, question: () => Question) =>
    isShown && html`<button onClick=${() => onAsk(question())}>${word}</button>`;
  return html`<div class="buttons" role="group" aria-label="Actions">
    ${button(allowed.raiseLimit, 'Raise cost limit', questions.raiseLimit)}
    ${button(allowed.resume, 'Resume', questions.resume)} ${button(allowed.pause, 'Pause', questions.pause)}
    ${button(allowed.cancel, 'Cancel', questions.cancel)} ${button(allowed.retry, 'Retry failed', questions.retryAll)}
  </div>`;
};
