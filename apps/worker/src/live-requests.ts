import { isSuccess, type LiveAnswer, type LiveAnswerHead, type Outcome, type RequestJob } from '@promptmill/core';
import type { StreamStart } from '@promptmill/provider';
import type { LiveSender, RecordOutcome, RequestState } from '@promptmill/queue';
import type { Job } from 'bullmq';
import type { RecordedEnd } from './decide.ts';
import type { UntilRedisTakes } from './until-redis-takes.ts';

export interface LiveRequestsOptions {
  readonly sender: LiveSender;
  readonly untilRedisTakes: UntilRedisTakes;
  /** Whether all hang-ups of the last seconds have come. */
  readonly isHearing: () => boolean;
  /** Fires when calls under way must be given up, since the process ends. */
  readonly giveUp: AbortSignal;
}

/** A call that came within this time needs no check, unless it has been in work before. */
const freshMs = 3000;

/** A live call that this process has. */
export interface LiveRun {
  /** Fires when the call is to be given up: its caller waits no longer, or the process ends. */
  readonly signal: AbortSignal;
  /** Whether somebody waits for the answer. */
  isWanted(): boolean;
  /** Whether the caller has got a part of the answer. */
  hasBegun(): boolean;
  /** Passes the events of an attempt on. */
  openStream(): LiveStream;
  end(): void;
}

export interface LiveStream {
  readonly onStream: (start: StreamStart) => void;
  readonly onEvent: (event: string) => void;
  /** Resolves when all events have been sent. */
  sent(): Promise<void>;
}

const answerOf = (outcome: Outcome, callMs: number, fallbackModel: string | undefined): LiveAnswer => {
  if (outcome.kind === 'error') return outcome;
  const { statusCode, requestId, json, headers = {}, retryAfterMs } = outcome;
  const head: LiveAnswerHead = {
    statusCode,
    requestId,
    headers,
    callMs: Math.round(callMs),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(fallbackModel === undefined ? {} : { fallbackModel }),
  };
  return { kind: 'response', head, body: json };
};

/** Whether the caller of a call in work is still there is asked this often. */
const lookForCallersEveryMs = 5000;

/** The live calls that this process has in work: whose callers still wait, and what they are told. */
export const createLiveRequests = ({ sender, untilRedisTakes, isHearing, giveUp }: LiveRequestsOptions) => {
  const runs = new Map<string, { readonly request: RequestJob; readonly controller: AbortController }>();
  /** Calls given up lately, and when: a worker may hear it before it has the job. */
  const hungUp = new Map<string, number>();
  giveUp.addEventListener('abort', () => {
    for (const { controller } of runs.values()) controller.abort();
  });
  /** Gives up the calls of an api that has died, and of callers whose end was missed while Redis was away. */
  const timer = setInterval(() => {
    for (const { request, controller } of runs.values())
      if (!request.live?.isKept)
        sender.isWanted(request).then(
          (isWanted) => void (isWanted || controller.abort()),
          () => {},
        );
  }, lookForCallersEveryMs);

  const openStream = (request: RequestJob): LiveStream & { hasSent(): boolean } => {
    const startedAt = performance.now();
    const attempt = Math.random().toString(36).slice(2);
    let head: LiveAnswerHead = { statusCode: 200, requestId: '', headers: {}, callMs: 0 };
    const waiting: string[] = [];
    let sentCount = 0;
    let sending: Promise<void> | undefined;

    /** Events that come while others are on their way go together, so they stay in order. */
    const send = async (): Promise<void> => {
      while (waiting.length > 0) {
        const events = waiting.splice(0);
        const from = sentCount;
        sentCount += events.length;
        const news = { attempt, from, count: events.length, head, text: events.join('') };
        await untilRedisTakes(() => sender.send(request, { kind: 'events', callId: request.batchId, ...news }));
      }
    };
    return {
      hasSent: () => sentCount > 0,
      onStream({ statusCode, requestId, headers }) {
        head = { statusCode, requestId, headers, callMs: Math.round(performance.now() - startedAt) };
      },
      onEvent(event) {
        waiting.push(event);
        sending ??= send().finally(() => {
          sending = undefined;
        });
      },
      sent: async () => sending,
    };
  };

  return {
    close: (): void => clearInterval(timer),

    begin(request: RequestJob): LiveRun {
      const controller = new AbortController();
      runs.set(request.batchId, { request, controller });
      if (giveUp.aborted || hungUp.has(request.batchId)) controller.abort();
      let stream: ReturnType<typeof openStream> | undefined;
      return {
        signal: controller.signal,
        isWanted: () => !controller.signal.aborted || giveUp.aborted,
        hasBegun: () => stream?.hasSent() === true,
        openStream() {
          stream = openStream(request);
          return stream;
        },
        end: () => void runs.delete(request.batchId),
      };
    },

    /** Its caller waits no longer. */
    hangUp(callId: string): void {
      runs.get(callId)?.controller.abort();
      const nowMs = performance.now();
      for (const [id, atMs] of hungUp) {
        if (nowMs - atMs < freshMs) break;
        hungUp.delete(id);
      }
      hungUp.set(callId, nowMs);
    },

    /** Whether a call has come so lately that its caller would have been heard to hang up. */
    isFresh: ({ data, timestamp, attemptsMade, stalledCounter }: Job<RequestJob>): boolean =>
      data.live?.isKept === false &&
      attemptsMade + stalledCounter === 0 &&
      Math.abs(Date.now() - timestamp) < freshMs &&
      isHearing(),

    async check(request: RequestJob): Promise<RequestState> {
      return (await sender.isWanted(request)) ? 'run' : 'dropped';
    },

    /** Tells the caller's process how an attempt failed after which another follows. */
    tellFailedAttempt: (request: RequestJob, outcome: Outcome): Promise<void> =>
      untilRedisTakes(() =>
        sender.send(request, {
          kind: 'failed attempt',
          callId: request.batchId,
          answer: answerOf(outcome, 0, undefined),
        }),
      ),

    /** Sends the answer to the process that holds the caller. After events only their end follows. */
    async record(
      request: RequestJob,
      { outcome, callMs = 0 }: RecordedEnd,
      fallbackModel: string | undefined,
    ): Promise<RecordOutcome> {
      const answer = answerOf(outcome, callMs, fallbackModel);
      const isStreamed = request.body['stream'] === true && isSuccess(outcome) && answer.kind === 'response';
      await sender.send(request, {
        kind: 'end',
        callId: request.batchId,
        answer: isStreamed ? { ...answer, body: '' } : answer,
      });
      return 'recorded';
    },
  };
};

export type LiveRequests = ReturnType<typeof createLiveRequests>;
