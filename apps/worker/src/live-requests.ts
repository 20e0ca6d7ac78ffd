import { isSuccess, type LiveAnswer, type LiveAnswerHead, type Outcome, type RequestJob } from '@promptmill/core';
import type { StreamStart } from '@promptmill/provider';
import type { KeptCalls, LiveSender, RecordOutcome, RequestState } from '@promptmill/queue';
import type { Job } from 'bullmq';
import type { RecordedEnd } from './decide.ts';
import type { UntilRedisTakes } from './until-redis-takes.ts';

export interface LiveRequestsOptions {
  readonly sender: LiveSender;
  readonly kept: Pick<KeptCalls, 'check' | 'record'>;
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

interface LiveStream {
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

type OpenStream = LiveStream & {
  hasSent(): boolean;
  /** All events of a call whose answer is kept. */
  text(): string;
};

interface OpenRun {
  readonly request: RequestJob;
  readonly controller: AbortController;
  stream?: OpenStream;
}

const fallbacksLeft = ({ fallback }: RequestJob): number => fallback?.models.length ?? 0;

/** Whether the caller of a call in work is still there is asked this often. */
const lookForCallersEveryMs = 5000;

/** The live calls that this process has in work: whose callers still wait, and what they are told. */
export const createLiveRequests = ({ sender, kept, untilRedisTakes, isHearing, giveUp }: LiveRequestsOptions) => {
  const runs = new Map<string, OpenRun>();
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

  const openStream = (request: RequestJob): OpenStream => {
    const startedAt = performance.now();
    const attempt = Math.random().toString(36).slice(2);
    let head: LiveAnswerHead = { statusCode: 200, requestId: '', headers: {}, callMs: 0 };
    const waiting: string[] = [];
    const events: string[] = [];
    let sentCount = 0;
    let sending: Promise<void> | undefined;

    /** Events that come while others are on their way go together, so they stay in order. */
    const send = async (): Promise<void> => {
      while (waiting.length > 0) {
        const next = waiting.splice(0);
        const from = sentCount;
        sentCount += next.length;
        const news = { attempt, from, count: next.length, head, text: next.join('') };
        await untilRedisTakes(() => sender.send(request, { kind: 'events', callId: request.batchId, ...news }));
      }
    };
    return {
      hasSent: () => sentCount > 0,
      text: () => events.join(''),
      onStream({ statusCode, requestId, headers }) {
        head = { statusCode, requestId, headers, callMs: Math.round(performance.now() - startedAt) };
      },
      onEvent(event) {
        if (request.live?.isKept) events.push(event);
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
      const run: OpenRun = { request, controller };
      runs.set(request.batchId, run);
      if (giveUp.aborted || hungUp.has(request.batchId)) controller.abort();
      return {
        signal: controller.signal,
        isWanted: () => !controller.signal.aborted || giveUp.aborted,
        hasBegun: () => run.stream?.hasSent() === true,
        openStream() {
          run.stream = openStream(request);
          return run.stream;
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
      if (request.live?.isKept) return kept.check(request.batchId, fallbacksLeft(request));
      return (await sender.isWanted(request)) ? 'run' : 'dropped';
    },

    /** A kept call has a job in its fallback's lane: from now on it is not called in this one. */
    async noteFallback(request: RequestJob): Promise<void> {
      if (request.live?.isKept) await untilRedisTakes(() => kept.check(request.batchId, fallbacksLeft(request) - 1));
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

    /**
     * Sends the answer to the process that holds the caller. After events only their end follows. An answer that is kept is
     * recorded before that, and goes to each process that waits for it.
     */
    async record(
      request: RequestJob,
      { outcome, callMs = 0, mayPass = false }: RecordedEnd,
      fallbackModel: string | undefined,
    ): Promise<RecordOutcome> {
      const { batchId: callId, tenant, live } = request;
      const answer = answerOf(outcome, callMs, fallbackModel);
      const stream = runs.get(callId)?.stream;
      const isStream = stream?.hasSent() === true && isSuccess(outcome) && answer.kind === 'response';
      const end = { kind: 'end', callId, answer: isStream ? { ...answer, body: '' } : answer } as const;
      if (!live?.isKept) {
        await sender.send(request, end);
        return 'recorded';
      }
      const toKeep = isStream ? { ...answer, body: stream.text() } : answer;
      const apis = await kept.record(callId, tenant, { answer: toKeep, isStream, mayPass });
      // A process that is not told finds the answer itself.
      for (const api of apis ?? []) await sender.send({ batchId: callId, live: { ...live, api } }, end).catch(() => {});
      return apis ? 'recorded' : 'duplicate';
    },
  };
};

export type LiveRequests = ReturnType<typeof createLiveRequests>;
