import type { Delta } from '@promptmill/core';

/** An answer that is being written, as far as its text has come. */
export interface LiveAnswer {
  readonly customId: string;
  readonly text: string;
}

/** Answers that are shown at once: the latest. */
const mostShown = 12;

/**
 * Takes in a piece of an answer. A piece may be lost, which leaves a gap; a piece at the start begins the answer again.
 * An answer that is complete goes away: it is among the results soon. Only the first choice is shown.
 */
export const applyDelta = (answers: readonly LiveAnswer[], delta: Delta): readonly LiveAnswer[] => {
  const { custom_id: customId, index, offset, delta: piece, done } = delta;
  if (done) return answers.filter((answer) => answer.customId !== customId);
  if (index !== 0) return answers;
  const before = answers.find((answer) => answer.customId === customId)?.text ?? '';
  const gap = offset > before.length ? '…'.padEnd(offset - before.length) : '';
  const answer = { customId, text: before.slice(0, offset) + gap + piece };
  const isKnown = answers.some((each) => each.customId === customId);
  if (isKnown) return answers.map((each) => (each.customId === customId ? answer : each));
  return [...answers, answer].slice(-mostShown);
};
