import type { LiveAnswer } from '@promptmill/core';
import type { LiveNews } from '@promptmill/queue';

type EventsNews = Extract<LiveNews, { readonly kind: 'events' }>;

/** A caller of this process who waits for the answer to a kept call. */
export interface KeptListener {
  readonly onNews: (news: LiveNews) => void;
  /** The events that it has got. */
  got?: { readonly attempt: string; readonly next: number; readonly text: string };
}

/** Passes events on. Who came in the middle of a stream gets none of them: it gets the whole at the end. */
export const tellEvents = (listener: KeptListener, news: EventsNews): void => {
  const { attempt, from, count, text } = news;
  const { got, onNews } = listener;
  if (!got && from > 0) return;
  const isNext = got?.attempt === attempt && got.next === from;
  // Events that come again are those that it has.
  if (!got || got.attempt !== attempt || isNext)
    listener.got = { attempt, next: from + count, text: isNext ? got.text + text : text };
  onNews(news);
};

/** Gives the whole answer, or what is missing of it, from a call's record. */
export const tellAnswer = (listener: KeptListener, callId: string, answer: LiveAnswer, isStream: boolean): void => {
  const { got, onNews } = listener;
  if (!isStream || answer.kind === 'error') return onNews({ kind: 'end', callId, answer });
  const { head, body } = answer;
  const { attempt = 'kept', next: from = 0, text: known = '' } = got ?? {};
  // Events of an attempt that broke off are not continued by those of another.
  const events = body.startsWith(known)
    ? { attempt, from, text: body.slice(known.length) }
    : { attempt: 'kept', from: 0, text: body };
  if (events.text !== '') onNews({ kind: 'events', callId, count: 1, head, ...events });
  onNews({ kind: 'end', callId, answer: { ...answer, body: '' } });
};
