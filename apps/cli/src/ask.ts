import { openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { ReadStream } from 'node:tty';
import type { CliContext } from './context.ts';

/** A person at a terminal who can be asked. */
export interface Person extends Disposable {
  /**
   * Shows a question and returns the line that is typed; undefined at Ctrl-D.
   *
   * @throws the signal's reason at Ctrl-C.
   */
  ask(question: string): Promise<string | undefined>;
}

const isTerminal = (stream: Readable): boolean => 'isTTY' in stream && stream.isTTY === true;

/** The process's own terminal, where standard input is something else, such as a file of prompts. */
const openOwnTerminal = (): ReadStream | undefined => {
  try {
    return new ReadStream(openSync('/dev/tty', 'r'));
  } catch {
    return undefined;
  }
};

/** Finds who can be asked: undefined where standard error is no terminal, or nobody can type. */
export const findPerson = ({
  stdin,
  screen,
  signal,
}: Pick<CliContext, 'stdin' | 'screen' | 'signal'>): Person | undefined => {
  if (!screen.isTTY) return undefined;
  const own = isTerminal(stdin) ? undefined : openOwnTerminal();
  const input = own ?? (isTerminal(stdin) ? stdin : undefined);
  if (!input) return undefined;
  return {
    async ask(question) {
      screen.write(question);
      const lines = createInterface({ input, signal });
      try {
        for await (const line of lines) return line;
        // The terminal shows no line break of its own then.
        screen.write('\n');
        signal.throwIfAborted();
        return undefined;
      } finally {
        lines.close();
      }
    },
    [Symbol.dispose]: () => void own?.destroy(),
  };
};
