import type { BatchObject } from '@promptmill/core';
import { CliError } from '../cli-error.ts';

/** The problems that kept a batch from running, one line each: `prompts.jsonl:17: …`. */
export const describeBatchErrors = (batch: BatchObject, inputName: string): string =>
  (batch.errors?.data ?? [])
    .map(({ line, message }) => `${inputName}${line === null ? '' : `:${line}`}: ${message}`)
    .join('\n');

/** @throws CliError `batch_failed` when the batch's input was refused. */
export const assertNotRefused = (batch: BatchObject, inputName: string): void => {
  if (batch.status === 'failed')
    throw new CliError('batch_failed', describeBatchErrors(batch, inputName) || 'the input was refused');
};

/** The command's exit code: 0 when every request has an answer, else 1. */
export const exitCodeOf = ({ status, request_counts: { failed } }: BatchObject): 0 | 1 =>
  status === 'completed' && failed === 0 ? 0 : 1;
