import type { CallLogEntry } from '@promptmill/simulator';

/** What the check reads of a line of the simulator's call log. */
export type LoggedCall = Pick<CallLogEntry, 'key' | 'status' | 'fault'>;

export interface History {
  readonly input: string;
  /** Content of the output file; undefined when the batch has none. */
  readonly output: string | undefined;
  readonly errors: string | undefined;
  readonly batch: {
    readonly id: string;
    readonly status: string;
    readonly request_counts?:
      | { readonly total: number; readonly completed: number; readonly failed: number }
      | undefined;
  };
  readonly calls: readonly LoggedCall[];
  /** How many calls crashes may have repeated. Default: 0. */
  readonly allowedRepeats?: number;
  /** How many retries each request may have had. Default: 0. */
  readonly allowedRetries?: number;
}

const linesOf = (content: string | undefined): string[] => {
  if (content === undefined) return [];
  if (!content.endsWith('\n')) throw new Error('P1: a result file does not end in a newline');
  return content.slice(0, -1).split('\n');
};

/** Whether the provider gave a whole answer: with a fault, even a 2xx answer may be unusable. */
export const isAnswer = ({ status, fault }: LoggedCall): boolean =>
  status >= 200 && status < 300 && (fault === undefined || fault === 'content-filter');

const customIdOf = (line: string): string => (JSON.parse(line) as { custom_id: string }).custom_id;

/** The custom_id of the request whose result a line is a copy of, when that request is of the same batch. */
const copiedFrom = (line: string): { isCopy: boolean; firstId?: string | undefined } => {
  const { promptmill: note } = JSON.parse(line) as {
    promptmill?: { copied_from?: string; copied_from_batch?: string };
  };
  if (note?.copied_from === undefined) return { isCopy: false };
  return { isCopy: true, firstId: note.copied_from_batch === undefined ? note.copied_from : undefined };
};

/** The prompt of an input line, when its answer is exactly that prompt. */
const echoOf = (line: string): string | undefined => {
  const { body } = JSON.parse(line) as {
    body?: { model?: string; messages?: { content: unknown }[]; max_tokens?: number };
  };
  const isWhole = body?.model?.endsWith('/echo') && body.max_tokens === undefined;
  const content = isWhole ? body?.messages?.at(-1)?.content : undefined;
  return typeof content === 'string' ? content : undefined;
};

const answerIn = (line: string): string | undefined =>
  (JSON.parse(line) as { response?: { body?: { choices?: { message?: { content?: string } }[] } } }).response?.body
    ?.choices?.[0]?.message?.content;

/** The simulator's `echo` answers with the prompt, so each answer shows which request it belongs to. */
const assertAnswersBelong = (inputLines: readonly string[], outputLines: readonly string[]): void => {
  const answers = new Map(outputLines.map((line) => [customIdOf(line), answerIn(line)]));
  for (const line of inputLines) {
    const id = customIdOf(line);
    const [asked, answered] = [echoOf(line), answers.get(id)];
    if (asked !== undefined && answered !== undefined && asked !== answered)
      throw new Error(`P1: ${id} has the answer to another prompt: ${answered}`);
  }
};

const assertInOrder = (ids: readonly string[], position: ReadonlyMap<string, number>, file: string): void => {
  let last = -1;
  for (const id of ids) {
    const at = position.get(id);
    if (at === undefined) throw new Error(`P1: ${file} has ${id}, which is not in the input`);
    if (at <= last) throw new Error(`P1: ${file} has ${id} out of order or twice`);
    last = at;
  }
};

/**
 * Checks what happened to a terminal batch against three promises. P1: each line is there once, in order, with the
 * answer to its own prompt. P2: the counts add up. P3: retries and crashes explain each call, no paid answer is lost.
 */
export const checkHistory = (history: History): void => {
  const { batch, calls, allowedRepeats = 0, allowedRetries = 0 } = history;
  const inputLines = linesOf(history.input);
  const inputIds = inputLines.map(customIdOf);
  const position = new Map(inputIds.map((id, at) => [id, at]));
  const outputLines = linesOf(history.output);
  const completed = outputLines.map(customIdOf);
  const failed = linesOf(history.errors).map(customIdOf);
  assertInOrder(completed, position, 'the output file');
  assertInOrder(failed, position, 'the error file');
  const written = new Set([...completed, ...failed]);
  if (written.size !== completed.length + failed.length) throw new Error('P1: a line is in both files');
  const missing = inputIds.filter((id) => !written.has(id));
  if (missing.length > 0) throw new Error(`P1: ${missing.length} lines have no result, ${missing[0]} first`);
  assertAnswersBelong(inputLines, outputLines);

  const counts = batch.request_counts;
  if (!['completed', 'cancelled', 'expired'].includes(batch.status))
    throw new Error(`P2: the batch is ${batch.status}, which is not an end`);
  if (counts?.total !== inputIds.length || counts.completed !== completed.length || counts.failed !== failed.length)
    throw new Error(
      `P2: counts ${JSON.stringify(counts)} for ${completed.length} completed and ${failed.length} failed`,
    );

  const callsOf = new Map<string, LoggedCall[]>();
  for (const call of calls) {
    if (!call.key?.startsWith(batch.id)) continue;
    // A call of a flex tier has a key of its own.
    const key = call.key.replace(/-flex$/, '');
    callsOf.set(key, [...(callsOf.get(key) ?? []), call]);
  }
  const repeated = [...callsOf.values()].filter((list) => list.length > 1 + allowedRetries);
  const repeats = repeated.reduce((sum, list) => sum + list.length - 1 - allowedRetries, 0);
  if (repeats > allowedRepeats)
    throw new Error(
      `P3: ${repeats} calls were repeated, ${allowedRepeats} are explained; first ${JSON.stringify(repeated[0])}`,
    );
  for (const line of outputLines) {
    const id = customIdOf(line);
    const { isCopy, firstId } = copiedFrom(line);
    const keyOf = (customId: string): string => `${batch.id}-${position.get(customId)}`;
    if (isCopy && callsOf.has(keyOf(id))) throw new Error(`P3: ${id} has a copy although it was called`);
    // The calls of another batch are not looked at.
    if (isCopy && firstId === undefined) continue;
    if (!callsOf.get(keyOf(firstId ?? id))?.some(isAnswer))
      throw new Error(`P3: ${id} has a result that the provider never gave`);
  }
  for (const [key, list] of callsOf) {
    const id = inputIds[Number(key.slice(batch.id.length + 1))];
    const answered = list.filter(isAnswer).length > allowedRepeats;
    if (answered && id !== undefined && failed.includes(id) && batch.status === 'completed')
      throw new Error(`P3: the answer for ${id} was paid for and thrown away`);
  }
};
