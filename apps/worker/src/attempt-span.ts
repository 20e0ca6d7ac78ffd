import { type Endpoint, field, type Lane, type RequestJob } from '@promptmill/core';
import type { CallResult } from '@promptmill/provider';
import type { EndedSpan } from '@promptmill/runtime';

/** Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ */
const operations: Readonly<Record<Endpoint, string>> = {
  '/v1/chat/completions': 'chat',
  '/v1/completions': 'text_completion',
  '/v1/embeddings': 'embeddings',
  '/v1/responses': 'chat',
  '/v1/moderations': 'moderation',
  '/v1/images/generations': 'generate_content',
  '/v1/images/edits': 'generate_content',
};

/** Providers that the conventions know under another name than ours. */
const providerNames: Readonly<Record<string, string>> = {
  xai: 'x_ai',
  mistral: 'mistral_ai',
  gemini: 'gcp.gemini',
  azure: 'azure.ai.openai',
};

/** The choices of an answer whose reasons are told. */
const mostChoices = 16;

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

/** Why each choice of an answer ended; of the Responses API, which has one, its status or what it lacks. */
const finishReasons = (answer: unknown): string[] | undefined => {
  const choices = field(answer, 'choices');
  if (!Array.isArray(choices)) {
    const reason = field(field(answer, 'incomplete_details'), 'reason') ?? field(answer, 'status');
    return typeof reason === 'string' ? [reason] : undefined;
  }
  const reasons = choices.slice(0, mostChoices).map((choice) => field(choice, 'finish_reason'));
  return reasons.filter((reason) => typeof reason === 'string');
};

/** Undefined for what is not JSON, which an answer that failed may be. */
const parsed = (json: string): unknown => {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
};

const attributesOfResult = (result: CallResult): EndedSpan['attributes'] => {
  if (result.kind !== 'success' && result.kind !== 'failure') return {};
  const answered = result.kind === 'success' ? result : result.answer;
  const answer = answered && parsed(answered.json);
  return {
    'gen_ai.response.id': text(field(answer, 'id')),
    'gen_ai.response.model': text(field(answer, 'model')),
    'gen_ai.response.finish_reasons': finishReasons(answer),
    'gen_ai.usage.input_tokens': result.usage?.inputTokens,
    'gen_ai.usage.output_tokens': result.usage?.outputTokens,
    'http.response.status_code':
      answered?.statusCode ?? (result.kind === 'failure' ? result.response?.statusCode : undefined),
  };
};

const errorOf = (result: CallResult): string | undefined => {
  if (result.kind === 'success') return undefined;
  return result.kind === 'failure' ? result.code : result.kind;
};

/**
 * The span of an attempt, by the semantic conventions for generative AI. Nothing of it is content: no prompt, no answer,
 * and no message of the provider, which may quote the prompt.
 *
 * @param startedAtMs Unix milliseconds, like `endedAtMs`
 */
export const attemptSpan = (
  { name: lane, provider }: Pick<Lane, 'name' | 'provider'>,
  { batchId, index, tenant, url, body, live }: RequestJob,
  result: CallResult,
  startedAtMs: number,
  endedAtMs: number,
): EndedSpan => {
  const { hostname, port, protocol } = new URL(provider.baseUrl);
  const operation = operations[url];
  return {
    name: `${operation} ${body.model}`,
    kind: 'client',
    startedAtMs,
    endedAtMs,
    error: errorOf(result),
    attributes: {
      'gen_ai.operation.name': operation,
      'gen_ai.provider.name': providerNames[provider.name] ?? provider.name,
      'gen_ai.request.model': body.model,
      'gen_ai.request.max_tokens': number(
        body['max_tokens'] ?? body['max_completion_tokens'] ?? body['max_output_tokens'],
      ),
      'gen_ai.request.temperature': number(body['temperature']),
      'gen_ai.request.top_p': number(body['top_p']),
      'server.address': hostname,
      'server.port': port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
      'promptmill.lane': lane,
      'promptmill.tenant': tenant,
      ...(live ? {} : { 'promptmill.batch.id': batchId, 'promptmill.request.index': index }),
      ...attributesOfResult(result),
    },
  };
};
