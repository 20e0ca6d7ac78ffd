import { randomBytes } from 'node:crypto';
import { ApiError, type BatchUsage, type RequestLine, usageOf } from '@promptmill/core';
import { errorForStatus, insufficientQuota } from '../api-error.ts';
import type { Behaviour } from '../behaviour.ts';
import type { PrepareAnswer } from '../endpoints/endpoint.ts';
import { readMarkers } from '../markers.ts';
import type { CallPlanner } from '../plan-call.ts';

export interface AnsweredLine {
  /** The line of the output or error file, without its ending. */
  readonly text: string;
  /** The status of the answer; 0 when there was none. */
  readonly status: number;
  /** What is billed. Absent for a line that failed. */
  readonly usage?: BatchUsage;
}

export interface AnswerLineDeps {
  readonly prepareAnswer: PrepareAnswer;
  readonly planCall: CallPlanner;
  readonly behaviour: Behaviour;
  readonly now: () => number;
}

/** Source: https://developers.openai.com/api/docs/api-reference/batch/request-output */
function resultLine(customId: string, response: string, error: string): string {
  const id = `batch_req_${randomBytes(16).toString('hex')}`;
  return `{"id":"${id}","custom_id":${JSON.stringify(customId)},"response":${response},"error":${error}}`;
}

function responseOf(status: number, json: string): string {
  return `{"status_code":${status},"request_id":"${randomBytes(16).toString('hex')}","body":${json}}`;
}

function refusedLine(customId: string, error: ApiError): AnsweredLine {
  const response = responseOf(error.status, JSON.stringify(error.toBody()));
  return { text: resultLine(customId, response, 'null'), status: error.status };
}

/** A line that got no answer at all. */
export function unansweredLine(customId: string, code: string, message: string): AnsweredLine {
  return { text: resultLine(customId, 'null', JSON.stringify({ code, message })), status: 0 };
}

/** Answers a line as a call would be answered. Of the faults only those in its prompt's markers befall it. */
export function answerLine({ customId, body }: RequestLine, deps: AnswerLineDeps): AnsweredLine {
  const { prepareAnswer, planCall, behaviour, now } = deps;
  try {
    const answer = prepareAnswer({ ...body, stream: false }, body.model);
    const call = { prompt: answer.prompt, markers: readMarkers(answer.prompt), idempotencyKey: null };
    const { fault } = planCall(call, { ...behaviour, errorRate: 0, faults: {} });
    if (fault?.name === 'status') return refusedLine(customId, errorForStatus(fault.status));
    if (fault?.name === 'insufficient_quota') return refusedLine(customId, insufficientQuota());
    const contentFiltered = fault?.name === 'content-filter';
    if (fault && !contentFiltered)
      return unansweredLine(customId, 'request_timeout', 'The request was not answered in time.');
    const createdAt = Math.floor(now() / 1000);
    const json = answer.render({ id: randomBytes(12).toString('hex'), createdAt, contentFiltered, cachedTokens: 0 });
    return {
      text: resultLine(customId, responseOf(200, json), 'null'),
      status: 200,
      usage: usageOf(JSON.parse(json)),
    };
  } catch (error) {
    if (error instanceof ApiError) return refusedLine(customId, error);
    throw error;
  }
}
