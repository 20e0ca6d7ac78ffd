import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { isAnswerSchema } from '@promptmill/core';
import type { SchemaQuestion, SchemaVerdict } from './schema-thread.ts';

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

/** A check that takes longer is cut off, and tried once more. */
const timeoutMs = 500;
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

/**
 * Checks texts against schemas of strangers, in a thread of its own that is started when it is needed. A schema can make
 * ajv work for hours (patterns that backtrack, choices within choices), so a check has a time limit, at which its thread
 * is ended. It is tried once more, since a machine that stood still may be the cause. Tenants take turns, and one whose
 * checks are costly again and again is refused for a while.
 */
export const createSchemaChecker = ({ now = Date.now }: SchemaCheckerOptions = {}) => {
  let thread: Promise<Worker> | undefined;
  let isAtWork = false;
  const lines = new Map<string, Waiting[]>();
  /** When tenants had costly checks. */
  const costly = new Map<string, number[]>();
  /** What is known of a schema, whatever the text. */
  const known = new Map<string, { readonly verdict: CheckVerdict; readonly untilMs: number }>();

  const start = async (): Promise<Worker> => {
    const started = new Worker(new URL('./schema-thread.ts', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
    });
    started.unref();
    // Who waits for the thread gets its error.
    started.on('error', () => {});
    await once(started, 'message');
    return started;
  };

  const end = async (): Promise<void> => {
    const ending = thread;
    thread = undefined;
    await ending?.then(
      (worker) => worker.terminate(),
      () => {},
    );
  };

  const ask = async (question: SchemaQuestion): Promise<CheckVerdict> => {
    thread ??= start();
    // That it cannot be started says nothing of the schema: the next question tries again.
    const worker = await thread.catch((error: unknown) => {
      thread = undefined;
      throw error;
    });
    worker.ref();
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), timeoutMs);
    try {
      worker.postMessage(question);
      const [verdict] = (await once(worker, 'message', { signal: limit.signal })) as [SchemaVerdict];
      return verdict;
    } catch {
      await end();
      return { kind: 'costly' };
    } finally {
      clearTimeout(timer);
      worker.unref();
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
    /** Throws when the thread cannot be started. */
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
