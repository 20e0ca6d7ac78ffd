import { hash } from 'node:crypto';
import type { Endpoint, RequestJob } from '@promptmill/core';
import { type CallResult, promptStartOf } from '@promptmill/provider';
import type { Called } from './wanted-request.ts';

/** What the process knows of a start that requests have in common. */
interface Start {
  /** Since when the first call with it is under way, in milliseconds of {@link PromptStartsOptions.now}. */
  ledSinceMs: number | undefined;
  /** Until this time its provider has it cached. */
  cachedUntilMs: number;
  /** Ends the waits of requests, and says whether they go whatever is cached. */
  readonly waiting: Set<(goes: boolean) => void>;
}

/** Whether answers of a model show that waiting is of use. */
interface Benefit {
  answers: number;
  cached: number;
  isNone: boolean;
}

/** Providers cache starts from 1024 tokens on, which are some 4 characters each. */
const characters = 4096;
const endpoints = new Set<Endpoint>(['/v1/chat/completions', '/v1/completions', '/v1/responses']);
/** A provider forgets a start that is not used for some minutes. */
const cachedForMs = 300_000;
/** By then the provider has read the start, even where it still writes its answer. */
const longestWaitMs = 10_000;
/** So many starts are remembered. */
const mostStarts = 1000;
/** Of so many answers to requests that waited, at least this many must have used the cache. */
const looked = { answers: 20, cached: 2 };

export interface PromptStartsOptions {
  /** The time in milliseconds. Default `performance.now`. */
  readonly now?: () => number;
}

/**
 * Has requests whose prompts begin alike wait for the first of them: a provider that caches prompts has their start once
 * it has answered that one. Calls that go out together would each pay for it. Where the answers of a model use no cache,
 * its requests wait no more.
 */
export const createPromptStarts = ({ now = () => performance.now() }: PromptStartsOptions = {}) => {
  const starts = new Map<string, Start>();
  const benefits = new Map<string, Benefit>();

  const benefitOf = ({ body: { model } }: RequestJob): Benefit => {
    const known = benefits.get(model) ?? { answers: 0, cached: 0, isNone: false };
    if (!benefits.has(model) && benefits.size < mostStarts) benefits.set(model, known);
    return known;
  };

  const startOf = ({ tenant, url, body, bytes, live, mismatch }: RequestJob): Start | undefined => {
    if (bytes < characters || live || mismatch || !endpoints.has(url)) return undefined;
    const text = promptStartOf(body, characters);
    if (text === undefined) return undefined;
    const key = hash('sha1', JSON.stringify([tenant, url, body.model, text]), 'base64');
    const start = starts.get(key) ?? { ledSinceMs: undefined, cachedUntilMs: -Infinity, waiting: new Set() };
    // The start that was used longest ago is forgotten first.
    starts.delete(key);
    starts.set(key, start);
    if (starts.size > mostStarts) for (const [oldest] of starts.entries().take(1)) starts.delete(oldest);
    return start;
  };

  /** Waits until the call that leads has ended, or for so long. Resolves with whether the request goes at once. */
  const wait = ({ waiting }: Start, ms: number, signal: AbortSignal): Promise<boolean> =>
    new Promise((resolve) => {
      const end = (goes: boolean): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', give);
        waiting.delete(end);
        resolve(goes);
      };
      const give = (): void => end(true);
      const timer = setTimeout(give, ms);
      signal.addEventListener('abort', give, { once: true });
      waiting.add(end);
    });

  const note = (benefit: Benefit, result: CallResult): void => {
    if (result.kind !== 'success') return;
    benefit.answers++;
    if (result.usage.cachedTokens > 0) benefit.cached++;
    if (benefit.answers < looked.answers) return;
    if (benefit.cached < looked.cached) benefit.isNone = true;
    benefit.answers = 0;
    benefit.cached = 0;
  };

  return {
    /** Makes a request's call, at once or after the first one with the same start. */
    async call(request: RequestJob, signal: AbortSignal, makeCall: () => Promise<Called>): Promise<Called> {
      const benefit = benefitOf(request);
      const start = benefit.isNone ? undefined : startOf(request);
      if (!start) return makeCall();
      const sinceMs = now();
      const waitMs = (): number => {
        const { ledSinceMs, cachedUntilMs } = start;
        if (ledSinceMs === undefined || now() < cachedUntilMs || benefit.isNone) return 0;
        return Math.min(sinceMs, ledSinceMs) + longestWaitMs - now();
      };
      let hasWaited = false;
      let goes = signal.aborted;
      while (!goes && waitMs() > 0) {
        hasWaited = true;
        goes = await wait(start, waitMs(), signal);
      }
      const isCached = now() < start.cachedUntilMs;
      const leads = start.ledSinceMs === undefined && !isCached;
      if (leads) start.ledSinceMs = now();
      let othersGo = false;
      try {
        const called = await makeCall();
        const result = 'result' in called ? called.result : undefined;
        if (result?.kind === 'success') start.cachedUntilMs = now() + cachedForMs;
        if (result && hasWaited && isCached) note(benefit, result);
        // A request that its provider refuses says nothing of the others: they are not to be refused one by one.
        othersGo = result?.kind === 'failure' && result.class === 'final';
        return called;
      } finally {
        if (leads) start.ledSinceMs = undefined;
        // After another failure of the one that led, the first of them leads.
        for (const end of start.waiting) end(othersGo);
      }
    },
  };
};
