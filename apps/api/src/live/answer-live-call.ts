import {
  ApiError,
  checkRequestBody,
  describeMissing,
  type Endpoint,
  flexLaneOf,
  fullModelName,
  type LiveAnswer,
  type LiveAnswerHead,
  type LiveCall,
  mayUseModel,
  modelNotAllowed,
  newLiveCallId,
  newResponseId,
  type RequestBody,
  type RequestJob,
  type Route,
} from '@promptmill/core';
import { z } from 'zod';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { hashOf, idempotencyHeaders, type KeyedRequest } from '../idempotency.ts';
import { checkRequest } from '../request-problem.ts';
import { queuedResponse, wantsBackground } from '../responses/background-response.ts';
import { toResponseObject } from '../responses/read-response.ts';
import { createLiveReply } from './live-reply.ts';
import { traceCall } from './trace-call.ts';
import { patienceMsOf } from './patience.ts';

/** The body goes to the provider as it is, with the provider's own name for the model. */
export const liveCallBody = z.looseObject({
  model: z.string().meta({ description: 'As `provider/model`. Without a provider the default one takes it.' }),
});

/** A stream that waits gets comments this often, so that nothing between its caller and here times out. */
const commentEveryMs = 5000;
/** What its place was after this time shows at the first comment how fast it moves up. */
const firstLookMs = 1000;

type LiveDependencies = Pick<
  ApiDependencies,
  'config' | 'tenants' | 'live' | 'kept' | 'livePlaces' | 'laneWatch' | 'metrics' | 'tracing' | 'now'
>;

/**
 * `POST /v1/chat/completions` and the other endpoints of providers: makes a job of the call in the lane of its model, and
 * answers on the same connection what the provider answered.
 */
export const answerLiveCall = (url: Endpoint, dependencies: LiveDependencies) => {
  const { config, tenants, live, kept, livePlaces, laneWatch, metrics, tracing, now } = dependencies;

  const findRoute = (tenant: string, model: string): Route => {
    const route = config.lanes.route(model);
    if (!route)
      throw new ApiError(404, describeMissing(config.lanes, model), { code: 'model_not_found', param: 'model' });
    if (mayUseModel(tenants.limitsOf(tenant), fullModelName(route))) return route;
    const { code, message } = modelNotAllowed(model);
    throw new ApiError(403, message, { code, param: 'model' });
  };

  /** A call that asks for flex stays there. Only its caller can know whether it is worth the standard price. */
  const routeOf = (body: RequestBody, route: Route): Route => ({
    ...route,
    lane: flexLaneOf(route.lane, { url, body }, 'standard') ?? route.lane,
  });

  const toJob = (
    { tenant, response }: Pick<Call, 'tenant' | 'response'>,
    body: RequestBody,
    { lane, model }: Route,
    callId: string,
    liveCall: LiveCall,
  ): RequestJob => {
    const { deadlineMs } = liveCall;
    const { body: received, traceparent } = response.locals;
    const limits = tenants.limitsOf(tenant);
    const models = lane.fallback.filter((name) => {
      const next = config.lanes.route(name);
      return next && mayUseModel(limits, fullModelName(next));
    });
    return {
      tenant,
      batchId: callId,
      index: 0,
      customId: callId,
      url,
      body: { ...body, model },
      bytes: received?.bytes ?? 0,
      live: liveCall,
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(models.length > 0 ? { fallback: { models, deadlineNearMs: deadlineMs } } : {}),
    };
  };

  /** Undefined without an `Idempotency-Key`. */
  const claimOf = (
    { tenant, request }: Pick<Call, 'tenant' | 'request'>,
    body: RequestBody,
  ): KeyedRequest | undefined => {
    if (request.headers['idempotency-key'] === undefined) return undefined;
    const { 'idempotency-key': key } = checkRequest(idempotencyHeaders, request.headers);
    return key === undefined ? undefined : { tenant, key, contentHash: hashOf(`${url}\n${JSON.stringify(body)}`) };
  };

  /** Begins a background response, and answers that it is queued. */
  const startBackground = async (
    { tenant, response }: Pick<Call, 'tenant' | 'response'>,
    { background: _background, ...body }: RequestBody,
    route: Route,
    claim: KeyedRequest | undefined,
  ): Promise<void> => {
    const liveCall = { api: '', deadlineMs: now() + kept.keepMs, isKept: true };
    const job = toJob({ tenant, response }, body, route, newResponseId(), liveCall);
    const queued = queuedResponse(body);
    const { id, call } = await kept.start({ lane: route.lane.name, job, claim, response: JSON.stringify(queued) });
    response.locals.audited = { action: 'response.create', ids: [id] };
    if (!call) throw new Error(`response ${id} was lost when it began`);
    response.json(await toResponseObject(kept, id, call));
  };

  return async (call: Call<unknown, unknown, z.output<typeof liveCallBody>>): Promise<void> => {
    const { tenant, body, request, response } = call;
    const reply = createLiveReply(response, { now });
    const problem = checkRequestBody(body);
    if (problem) throw new ApiError(400, problem.message, { code: problem.code, param: problem.param });
    const isBackground = url === '/v1/responses' && wantsBackground(body);
    const claim = claimOf(call, body);
    const deadlineMs = reply.receivedAt + patienceMsOf(request.headers);
    const route = routeOf(body, findRoute(tenant, body.model));
    traceCall(tracing, url, call, body.model);
    if (isBackground) return startBackground(call, body, route, claim);
    const lane = route.lane.name;
    const job = toJob(call, body, route, newLiveCallId(), {
      api: live.api,
      deadlineMs: claim ? now() + kept.keepMs : deadlineMs,
      isKept: claim !== undefined,
    });
    const calls = claim ? kept.callerOf(claim) : live;
    let callId = job.batchId;
    const received = response.locals.body;
    const leave = await livePlaces.take(tenant, received?.heapBytes ?? 0);
    // Its caller may have left meanwhile.
    if (response.closed) return leave();
    // From here on it counts among the calls that wait.
    received?.release();
    // The deadline is what ends a call that waits for long.
    request.socket.setTimeout(0);

    const { promise: over, resolve: end } = Promise.withResolvers<'answered' | 'failed' | 'hung_up'>();
    let lastFailure: LiveAnswer | undefined;
    let isWaitNoted = false;

    /** Notes how long the call waited, when the provider's answer begins. */
    const noteWait = ({ callMs }: LiveAnswerHead): void => {
      if (!isWaitNoted) metrics.liveWait.observe({ lane }, Math.max(0, now() - reply.receivedAt - callMs) / 1000);
      isWaitNoted = true;
    };

    /** Ends the call for its caller, who gets its last failure, else this error. */
    const fail = (error: ApiError): void => {
      calls.giveUp(callId);
      if (lastFailure && error.retryAfterSeconds === undefined) reply.answer(lastFailure);
      else reply.error(error);
      end('failed');
    };
    const waits = { deadlineMs, fail, isWaiting: () => !reply.hasEvents() };

    const deadline = setTimeout(
      () => fail(new ApiError(504, 'The call got no answer in time.', { code: 'request_timeout' })),
      Math.max(0, deadlineMs - now()),
    );
    const describePlace = laneWatch.follow(callId);
    const comment = async (): Promise<void> => {
      const text = await describePlace();
      if (waits.isWaiting() && !response.writableEnded) reply.comment(text);
    };
    const beginComments = () => [
      setTimeout(() => void describePlace().catch(() => {}), firstLookMs),
      setInterval(() => void comment().catch(() => {}), commentEveryMs),
    ];
    let comments: NodeJS.Timeout[] = [];
    response.on('close', () => {
      if (response.writableFinished) return;
      calls.giveUp(callId);
      end('hung_up');
    });
    const unwatch = laneWatch.watch(live.lanesOf({ lane, job }), waits);
    try {
      callId = await calls.begin({
        lane,
        job,
        onNews(news) {
          if (news.kind === 'failed attempt') lastFailure = news.answer;
          else if (news.kind === 'events') {
            noteWait(news.head);
            if (!reply.events(news)) fail(new ApiError(502, 'The stream broke off.', { code: 'incomplete_stream' }));
          } else {
            calls.end(callId);
            if (news.answer.kind === 'response') noteWait(news.answer.head);
            reply.answer(news.answer);
            end('answered');
          }
        },
      });
      if (body['stream'] === true) comments = beginComments();
      metrics.liveCalls.inc({ lane, outcome: await over });
    } finally {
      clearTimeout(deadline);
      for (const timer of comments) clearTimeout(timer);
      unwatch();
      leave();
    }
  };
};
