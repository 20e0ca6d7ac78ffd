import { ApiError, asksForFlex, type Endpoint, type JsonObject, type Random } from '@promptmill/core';
import { errorForStatus, missingParameter, modelNotFound, noFlexCapacity, rateLimitReached } from './api-error.ts';
import type { Behaviour } from './behaviour.ts';
import type { CallStatsRecorder } from './call-stats.ts';
import type { PrepareAnswer, PreparedAnswer } from './endpoints/endpoint.ts';
import { missingModel } from './endpoints/models.ts';
import { failCall, finishCall } from './finish-call.ts';
import { readMarkers, type Marker } from './markers.ts';
import type { OpenCall } from './open-call.ts';
import type { CallPlanner } from './plan-call.ts';
import type { PromptCache } from './prompt-cache.ts';
import type { RateLimiter } from './rate-limiter.ts';
import { readJsonBody } from './read-json-body.ts';

export interface CallHandlerDeps {
  readonly behaviour: () => Behaviour;
  readonly limiter: RateLimiter;
  readonly planCall: CallPlanner;
  readonly promptCache: PromptCache;
  readonly stats: CallStatsRecorder;
  /** Decides which flex calls are taken. */
  readonly random: Random;
  readonly maxBodyBytes: number;
}

export type CallHandler = (call: OpenCall, prepareAnswer: PrepareAnswer) => void;

/** Takes a call from its body to its outcome: read, check, admit, plan, wait, answer. */
export function createCallHandler({
  behaviour,
  limiter,
  planCall,
  promptCache,
  stats,
  random,
  maxBodyBytes,
}: CallHandlerDeps): CallHandler {
  return (call, prepareAnswer) => {
    readJsonBody(call.request, maxBodyBytes, (read) => {
      const prepared = read.status === 'read' ? prepareCall(call, prepareAnswer, read.body) : read;
      if (prepared.status === 'invalid') {
        failCall(call, prepared.error);
        return;
      }
      const { answer, markers } = prepared;
      const { flex } = behaviour();
      if (call.tier === 'flex' && random() >= flex.takes) {
        failCall(call, noFlexCapacity(flex.status));
        return;
      }
      const admission = limiter.admit(answer.tokens);
      if (admission.status === 'refused') {
        stats.refuse(admission.reason);
        const { maxInFlightStatus: status = 429 } = behaviour().limits;
        if (admission.reason === 'in-flight' && status !== 429) failCall(call, errorForStatus(status));
        else failCall(call, rateLimitReached(call.model ?? '', admission.reason), retryAfter(admission.retryAfterMs));
        return;
      }
      call.isAdmitted = true;
      call.tokens = answer.tokens;
      const now = behaviour();
      const { prompt } = answer;
      const { latencyMs, fault } = planCall({ prompt, markers, idempotencyKey: call.idempotencyKey }, now);
      const model = call.model ?? '';
      if (now.promptCache) call.cachedTokens = promptCache.find(model, prompt);
      const finish = (): void => {
        if (now.promptCache && fault === undefined) promptCache.add(model, prompt);
        finishCall(call, answer, { fault, chunkDelayMs: now.chunkDelayMs });
      };
      if (latencyMs > 0) call.timer = setTimeout(finish, latencyMs);
      else finish();
    });
  };
}

type PreparedCall =
  | { readonly status: 'prepared'; readonly answer: PreparedAnswer; readonly markers: readonly Marker[] }
  | { readonly status: 'invalid'; readonly error: ApiError };

function prepareCall(call: OpenCall, prepareAnswer: PrepareAnswer, body: JsonObject): PreparedCall {
  try {
    const { model } = body;
    if (typeof model !== 'string' || model === '') throw missingParameter('model');
    call.model = model;
    if (asksForFlex(call.path as Endpoint, body)) call.tier = 'flex';
    if (model === missingModel) throw modelNotFound(model);
    const answer = prepareAnswer(body, model);
    return { status: 'prepared', answer, markers: readMarkers(answer.prompt) };
  } catch (error) {
    if (error instanceof ApiError) return { status: 'invalid', error };
    // An unexpected error fails one call, and not the process.
    return { status: 'invalid', error: new ApiError(500, `The simulator failed: ${String(error)}`) };
  }
}

function retryAfter(ms: number | null): Readonly<Record<string, string>> {
  if (ms === null) return {};
  return { 'retry-after': String(Math.ceil(ms / 1000)), 'retry-after-ms': String(Math.ceil(ms)) };
}
