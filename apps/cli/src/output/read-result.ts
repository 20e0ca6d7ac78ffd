import { field, isJsonObject, usageOf } from '@promptmill/core';

/** What a line of the output or the error file says, for people. */
export interface ResultSummary {
  readonly customId: string;
  /** Null when none came. An answer that is no text is JSON. */
  readonly answer: string | null;
  /** Status or code, and message; null when the answer is what was asked for. */
  readonly error: string | null;
  /** The same in parts. */
  readonly failure: Failure | null;
  readonly model: string | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  /** Null when it is unknown. */
  readonly costUsd: number | null;
}

interface Failure {
  /** What failures are counted by: a status with the provider's own code if it has one, or a code. */
  readonly reason: string;
  readonly message: string;
}

interface ResultLine {
  readonly custom_id: string;
  readonly response: { readonly status_code: number; readonly body: unknown } | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly promptmill?: { readonly model?: string; readonly cost_usd?: number };
}

const first = (value: unknown): unknown => (Array.isArray(value) ? (value as unknown[])[0] : undefined);

const each = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** The texts of a Responses answer. */
const outputTexts = (output: unknown): unknown[] =>
  each(output)
    .flatMap((item) => each(field(item, 'content')))
    .map((part) => field(part, 'text') ?? field(part, 'refusal'))
    .filter((text) => typeof text === 'string');

/** The part of an answer that was asked for, whatever the endpoint. Sources: OpenAI's reference of each endpoint. */
const answerOf = (body: unknown): unknown => {
  const choice = first(field(body, 'choices'));
  if (choice !== undefined) {
    const message = field(choice, 'message');
    return (
      field(message, 'content') ?? field(message, 'refusal') ?? field(message, 'tool_calls') ?? field(choice, 'text')
    );
  }
  const output = field(body, 'output');
  if (output !== undefined) {
    const texts = outputTexts(output);
    return texts.length > 0 ? texts.join('') : output;
  }
  const data = first(field(body, 'data'));
  const image = field(data, 'b64_json') ?? field(data, 'url');
  return field(data, 'embedding') ?? image ?? first(field(body, 'results')) ?? body;
};

const textOf = (answer: unknown): string =>
  typeof answer === 'string' ? answer : answer === undefined || answer === null ? '' : JSON.stringify(answer);

const providerMessage = (body: unknown): string => {
  const error = field(body, 'error');
  const message = isJsonObject(error) ? error['message'] : error;
  return typeof message === 'string' ? message : '';
};

/** Reads a line of the output or the error file. */
export const readResult = (line: string): ResultSummary => {
  const { custom_id: customId, response, error, promptmill } = JSON.parse(line) as ResultLine;
  const isAnswer = response !== null && response.status_code >= 200 && response.status_code < 300;
  if (!isAnswer) {
    const message = response ? providerMessage(response.body) : String(error?.message);
    const text = response ? `${response.status_code} ${message}`.trim() : `${error?.code}: ${message}`;
    const code = response && field(field(response.body, 'error'), 'code');
    const reason = response ? [response.status_code, typeof code === 'string' ? code : ''].join(' ') : `${error?.code}`;
    const failure = { reason: reason.trim(), message };
    return {
      customId,
      answer: null,
      error: text,
      failure,
      model: null,
      inputTokens: null,
      outputTokens: null,
      costUsd: null,
    };
  }
  const { body } = response;
  const model = promptmill?.model ?? field(body, 'model');
  const usage = isJsonObject(field(body, 'usage')) ? usageOf(body) : undefined;
  return {
    customId,
    answer: textOf(answerOf(body)),
    error: error ? `${error.code}: ${error.message}` : null,
    failure: error ? { reason: error.code, message: error.message } : null,
    model: typeof model === 'string' ? model : null,
    inputTokens: usage?.inputTokens ?? null,
    outputTokens: usage?.outputTokens ?? null,
    costUsd: promptmill?.cost_usd ?? null,
  };
};
