import { expect, test } from 'vitest';
import {
  type BatchStatus,
  batchStatuses,
  canTransition,
  isTerminal,
  statusesBefore,
  timestampOf,
} from './batch-status.ts';

/** Source: https://platform.openai.com/docs/guides/batch */
const table: Record<BatchStatus, BatchStatus[]> = {
  validating: ['failed', 'in_progress', 'cancelling'],
  failed: [],
  in_progress: ['finalizing', 'expired', 'cancelling'],
  finalizing: ['completed'],
  completed: [],
  expired: [],
  cancelling: ['cancelled'],
  cancelled: [],
};

const pairs = batchStatuses.flatMap((from) => batchStatuses.map((to) => [from, to] as const));

test.each(pairs)('%s → %s is allowed where OpenAI has it', (from, to) => {
  expect(canTransition(from, to)).toBe(table[from].includes(to));
  expect(statusesBefore(to).includes(from)).toBe(table[from].includes(to));
});

test('a terminal status leads nowhere, and every other leads to a terminal one', () => {
  expect(batchStatuses.filter(isTerminal)).toEqual(['failed', 'completed', 'expired', 'cancelled']);
  const reaches = (from: BatchStatus): boolean => isTerminal(from) || table[from].some(reaches);
  expect(batchStatuses.every(reaches)).toBe(true);
});

test('every status but the first is reached from validating and has a timestamp', () => {
  const reached = new Set<BatchStatus>(['validating']);
  for (const from of reached) for (const to of batchStatuses) if (canTransition(from, to)) reached.add(to);
  expect([...reached].sort()).toEqual([...batchStatuses].sort());
  expect(Object.keys(timestampOf).sort()).toEqual(batchStatuses.filter((status) => status !== 'validating').sort());
});
