import type { BatchStatus } from '@promptmill/core';
import { html } from '../html.ts';

const words: Readonly<Record<BatchStatus, string>> = {
  validating: 'Checking',
  in_progress: 'Running',
  finalizing: 'Finishing',
  completed: 'Completed',
  failed: 'Refused',
  expired: 'Expired',
  cancelling: 'Cancelling',
  cancelled: 'Cancelled',
};

export interface StatusPillProps {
  readonly status: BatchStatus;
  readonly isPaused: boolean;
  /** Whether it is running and does not go on. */
  readonly isWaiting?: boolean;
}

/** A batch's status as a word on a colour. */
export const StatusPill = ({ status, isPaused, isWaiting = false }: StatusPillProps) => {
  const running = status === 'in_progress';
  const kind = isPaused ? 'paused' : running && isWaiting ? 'waiting' : status;
  const word = isPaused ? 'Paused' : running && isWaiting ? 'Waiting' : words[status];
  return html`<span class="pill" data-kind=${kind}>${word}</span>`;
};
