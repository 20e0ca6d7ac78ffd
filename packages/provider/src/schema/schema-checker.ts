import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isAnswerSchema } from '@promptmill/core';
import type { SchemaQuestion, SchemaVerdict } from './schema-process.ts';

/** `costly`: the check takes too long or too much memory, or its tenant has had too many such checks. */
export type CheckVerdict = SchemaVerdict | { readonly kind: 'costly' };

export interface SchemaCheck {
  /** Whose check it is. */
  readonly tenant: string;
  readonly schema: unknown;
  /** What has to match. Without it only the schema is looked at. */
  readonly text?: string;
}

export interface SchemaCheckerOptions {
  /** The time in milliseconds. Default `Date.now`. */
  readonly now?: () => number;
}

/** The process ends itself when a check takes half a second of the processor. It is given up when it hangs so long. */
const timeoutMs = 30_000;
/** Most characters of a schema, as JSON. */
export const maxSchemaLength = 64 * 1024;
const maxHeapMb = 128;
/** Verdicts on schemas that are remembered. */
const maxKnown = 100;
/** A tenant with so many costly checks within this time gets no further check in it. */
const maxCostly = 3;
/** A costly check counts for this time, and its schema is not tried again in it. */
const costlyMs = 60_000;

interface Waiting {
  readonly question: SchemaQuestion;
  readonly resolve: (verdict: CheckVerdict) => void;
  readonly reject: (reason: unknown) => void;
}

/** @throws when the process ends or cannot be started, or the signal fires before the message comes */
const nextMessage = async (child: ChildProcess, signal?: AbortSignal): Promise<unknown> => {
  const ended = new AbortController();
  const end = (): void => ended.abort(new Error('the process that checks schemas has ended'));
  child.once('exit', end).once('error', end);
  try {
    const [message] = (await once(child, 'message', {
      signal: signal ? AbortSignal.any([signal, ended.signal]) : ended.signal,
    })) as [unknown];
    return message;
  } finally {
    child.off('exit', end).off('error', end);
  }
};

/** A process that has nothing to check does not keep this one alive. */
const keepAlive = (child: ChildProcess, alive: boolean): void => {
  if (alive) {
    child.ref();
    child.channel?.ref();
  } else {
    child.unref();
    child.channel?.unref();
  }
};

/**
 * Checks texts against schemas of strangers, in a process of its own that is started when it is needed. A schema can make
 * ajv work for hours or take all memory (patterns that backtrack, choices within choices), and a thread that is ended in
 * the middle of that may end the whole process with it. So a check has a limit of the processor's time, at which its process
 * ends. It is tried once more, since something else may have ended the process. Tenants take turns, and one whose checks are
 * costly again and again is refused for a while.
 */
export const createSchemaChecker = ({ now = Date.now }: SchemaCheckerOptions = {}) => {
  let child: Promise<ChildProcess> | undefined;
  let isAtWork = false;
  const lines = new Map<string, Waiting[]>();
  /** When tenants had costly checks. */
  const costly = new Map<string, number[]>();
  /** What is known of a schema, whatever the text. */
  const known = new Map<string, { readonly verdict: CheckVerdict; readonly untilMs: number }>();

  const start = async (): Promise<ChildProcess> => {
    // It needs none of the environment, which holds keys.
    const started = fork(fileURLToPath(new URL('./schema-process.ts', import.meta.url)), {
      execArgv: [`--max-old-space-size=${maxHeapMb}`],
      env: {},
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    // Who waits for its next message hears of it.
    started.on('error', () => {});
    await nextMessage(started);
    keepAlive(started, false);
    return started;
  };

  const end = async (): Promise<void> => {
    const ending = await child?.catch(() => undefined);
    child = undefined;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    keepAlive(ending, true);
    const exited = once(ending, 'exit');
    ending.kill('SIGKILL');
    await exited;
  };

  const ask = async (question: SchemaQuestion): Promise<CheckVerdict> => {
    child ??= start();
    // That it cannot be started says nothing of the schema: the next question tries again.
    const checking = await child.catch((error: unknown) => {
      child = undefined;
      throw error;
    });
    keepAlive(checking, true);
    try {
      checking.send(question);
      return (await nextMessage(checking, AbortSignal.timeout(timeoutMs))) as SchemaVerdict;
    } catch {
      await end();
      return { kind: 'costly' };
    } finally {
      keepAlive(checking, false);
    }
  };

  const knownOf = (schema: string): CheckVerdict | undefined => {
    const found = known.get(schema);
    return found && now() < found.untilMs ? found.verdict : undefined;
  };

  const remember = (schema: string, verdict: CheckVerdict): void => {
    known.delete(schema);
    const [oldest] = known.keys();
    if (known.size >= maxKnown && oldest !== undefined) known.delete(oldest);
    known.set(schema, {
      verdict: verdict.kind === 'mismatch' ? { kind: 'ok' } : verdict,
      untilMs: verdict.kind === 'costly' ? now() + costlyMs : Infinity,
    });
  };

  const isRefused = (tenant: string): boolean => {
    const recent = (costly.get(tenant) ?? []).filter((atMs) => now() - atMs < costlyMs);
    if (recent.length === 0) costly.delete(tenant);
    else costly.set(tenant, recent);
    return recent.length >= maxCostly;
  };

  const answer = async (tenant: string, question: SchemaQuestion): Promise<CheckVerdict> => {
    const before = knownOf(question.schema);
    if (before && before.kind !== 'ok') return before;
    if (isRefused(tenant)) return { kind: 'costly' };
    const first = await ask(question);
    const verdict = first.kind === 'costly' ? await ask(question) : first;
    remember(question.schema, verdict);
    if (verdict.kind === 'costly') costly.set(tenant, [...(costly.get(tenant) ?? []), now()]);
    return verdict;
  };

  const work = async (): Promise<void> => {
    if (isAtWork) return;
    isAtWork = true;
    for (let [next] = lines; next; [next] = lines) {
      const [tenant, line] = next;
      const waiting = line.shift();
      if (waiting) await answer(tenant, waiting.question).then(waiting.resolve, waiting.reject);
      // It goes behind those that have come meanwhile.
      lines.delete(tenant);
      if (line.length > 0) lines.set(tenant, line);
    }
    isAtWork = false;
  };

  return {
    /** Throws when the process cannot be started. */
    async check({ tenant, schema, text }: SchemaCheck): Promise<CheckVerdict> {
      if (!isAnswerSchema(schema)) return { kind: 'invalid', fault: 'it is neither an object nor a boolean' };
      const asText = JSON.stringify(schema);
      if (asText.length > maxSchemaLength)
        return { kind: 'invalid', fault: `it has ${asText.length} characters; it may have ${maxSchemaLength}` };
      const before = knownOf(asText);
      if (before && before.kind !== 'ok') return before;
      if (isRefused(tenant)) return { kind: 'costly' };
      if (before && text === undefined) return before;
      return new Promise((resolve, reject) => {
        const line = lines.get(tenant) ?? [];
        line.push({ question: { schema: asText, text }, resolve, reject });
        lines.set(tenant, line);
        void work();
      });
    },
    close: end,
  };
};

export type SchemaChecker = ReturnType<typeof createSchemaChecker>;
