import type { Delta } from '@promptmill/core';
import { printable, printableLine } from '../terminal.ts';

interface Answer {
  readonly customId: string;
  readonly title: string;
  /** The text that is not printed yet. */
  waiting: string;
  /** The offset at which the next delta begins, unless one was lost. */
  end: number;
  isDone: boolean;
  heardAtMs: number;
}

export interface DeltaPrinterOptions {
  readonly write: (text: string) => unknown;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
}

/** An answer that gets no text for this long gives its turn to others. */
const patienceMs = 5000;

/**
 * Prints answers while they are being written, one at a time so that people can read them, each under its custom_id.
 * The text of the other answers waits for its turn; complete answers have the next turns.
 */
export const createDeltaPrinter = ({ write, now }: DeltaPrinterOptions) => {
  const answers = new Map<string, Answer>();
  let front: Answer | undefined;

  const answerOf = ({ custom_id: customId, index }: Delta): Answer => {
    const title = index === 0 ? customId : `${customId} [${index}]`;
    const key = JSON.stringify([customId, index]);
    const answer = answers.get(key) ?? { customId, title, waiting: '', end: 0, isDone: false, heardAtMs: 0 };
    answers.set(key, answer);
    return answer;
  };

  const printFront = (answer: Answer): void => {
    if (front !== answer) write(`── ${printableLine(answer.title)}\n`);
    front = answer;
    write(printable(answer.waiting));
    answer.waiting = '';
  };

  const leaveFront = (): void => {
    write(front?.isDone ? '\n' : ' …\n');
    front = undefined;
  };

  const forgetDone = (): void => {
    for (const [key, answer] of answers) if (answer.isDone && answer.waiting === '') answers.delete(key);
  };

  const print = (): void => {
    if (front) printFront(front);
    const others = [...answers.values()].filter((answer) => answer !== front && answer.waiting !== '');
    const isFrontStuck = front && others.some(({ isDone }) => isDone) && now() - front.heardAtMs > patienceMs;
    if (front && !front.isDone && !isFrontStuck) return;
    if (front) leaveFront();
    for (const answer of others.filter(({ isDone }) => isDone)) {
      printFront(answer);
      leaveFront();
    }
    const next = others.find(({ isDone }) => !isDone);
    if (next) printFront(next);
    forgetDone();
  };

  return {
    add(delta: Delta): void {
      const text = delta.delta;
      if (text !== '') {
        const answer = answerOf(delta);
        // An attempt broke off, and a new one begins at offset 0.
        if (delta.offset < answer.end) answer.waiting = front === answer ? ' …\n' : '';
        else if (delta.offset > answer.end) answer.waiting += '…';
        answer.waiting += text;
        answer.end = delta.offset + text.length;
        answer.heardAtMs = now();
      }
      if (delta.done)
        for (const answer of answers.values()) if (answer.customId === delta.custom_id) answer.isDone = true;
      print();
    },
    /** Prints the text that still waits. */
    end(): void {
      for (const answer of answers.values()) {
        if (answer.waiting === '') continue;
        if (front && front !== answer) leaveFront();
        printFront(answer);
      }
      if (front) leaveFront();
      answers.clear();
    },
  };
};
