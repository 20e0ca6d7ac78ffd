import type { ApiError, LiveAnswer, LiveAnswerHead } from '@promptmill/core';
import type { LiveNews } from '@promptmill/queue';
import type { Response } from 'express';
import { errorBody, errorOf, statusError, streamError } from './live-error.ts';

/**
 * A caller who reads slower than the provider writes is given up when more bytes than this have waited for it for so long.
 * Events that come together are more at once.
 */
const mostUnreadBytes = 8 * 2 ** 20;
const catchUpMs = 1000;

const seconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1000));

/** Writes the answer to a live call: at once, or event by event. */
export const createLiveReply = (response: Response, { now }: { readonly now: () => number }) => {
  const receivedAt = now();
  let attempt: string | undefined;
  let nextEvent = 0;
  /** When no more than may wait was waiting for the caller. */
  let caughtUpAt = receivedAt;

  const setHeaders = (head: LiveAnswerHead): void => {
    const { statusCode, requestId, headers, callMs, retryAfterMs, fallbackModel } = head;
    response.status(statusCode).set(headers);
    if (requestId !== '') response.set('x-provider-request-id', requestId);
    if (retryAfterMs !== undefined) response.set('retry-after', String(seconds(retryAfterMs)));
    if (fallbackModel !== undefined) response.set('x-promptmill-fallback-model', fallbackModel);
    response.set('x-promptmill-wait-ms', String(Math.max(0, now() - receivedAt - callMs)));
    // The call was tried for as long as there was any use in it.
    if (statusCode >= 400) response.set('x-should-retry', 'false');
  };
  const beginStream = (head: LiveAnswerHead): void => {
    setHeaders(head);
    // nginx would hold events back.
    response.set({ 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' });
    response.flushHeaders();
  };

  const error = (problem: ApiError): void => {
    response.locals.errorCode = problem.code;
    if (response.headersSent) {
      response.end(`data: ${JSON.stringify(problem.toBody())}\n\n`);
      return;
    }
    response.set({ 'x-should-retry': 'false', 'x-promptmill-wait-ms': String(now() - receivedAt) });
    if (problem.retryAfterSeconds !== undefined) response.set('retry-after', String(problem.retryAfterSeconds));
    response.status(problem.status).json(problem.toBody());
  };

  return {
    receivedAt,
    /** Whether the caller has got a part of the provider's answer. */
    hasEvents: (): boolean => attempt !== undefined,

    /** Passes events on. Returns false when events are missing, or are of an attempt after one that broke off. */
    events(news: Extract<LiveNews, { readonly kind: 'events' }>): boolean {
      const { head, from, count, text } = news;
      attempt ??= news.attempt;
      if (news.attempt !== attempt || from > nextEvent) return false;
      // What a worker sent again is known already.
      if (from < nextEvent) return true;
      nextEvent += count;
      if (!response.headersSent) beginStream(head);
      if (response.writableLength <= mostUnreadBytes) caughtUpAt = now();
      if (now() - caughtUpAt > catchUpMs) response.destroy();
      else response.write(text);
      return true;
    },

    /** A comment, which clients skip, keeps a stream from timing out before its first event. */
    comment(text: string): void {
      if (!response.headersSent) beginStream({ statusCode: 200, requestId: '', headers: {}, callMs: 0 });
      response.write(`: ${text}\n\n`);
    },

    /** Ends the reply with an answer; after events only their end is missing. */
    answer(answer: LiveAnswer): void {
      if (response.headersSent) {
        const isComplete = answer.kind === 'response' && answer.head.statusCode < 400;
        response.end(isComplete ? undefined : `data: ${streamError(answer)}\n\n`);
        return;
      }
      if (answer.kind === 'error') return error(errorOf(answer));
      const problem = statusError(answer.head);
      if (problem) return error(problem);
      const { head, body } = answer;
      response.locals.isProvidersAnswer = true;
      setHeaders(head);
      response.type('json').end(head.statusCode < 400 ? body : errorBody(head.statusCode, body));
    },

    error,
  };
};
