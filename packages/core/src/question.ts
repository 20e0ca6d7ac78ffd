import { hash } from 'node:crypto';
import type { Endpoint } from './endpoints.ts';
import { isJsonObject, type JsonObject } from './json.ts';
import type { RequestLine } from './request-line.ts';

/** Endpoints whose answer depends on the request alone. */
const alwaysTheSame = new Set<Endpoint>(['/v1/embeddings', '/v1/moderations']);

/** Whether one answer may stand for all requests like this one: who wants several different answers says so in the body. */
const hasOneAnswer = (url: Endpoint, body: JsonObject): boolean => {
  if (alwaysTheSame.has(url)) return true;
  const { temperature, seed, n, conversation } = body;
  const isSettled = temperature === 0 || typeof seed === 'number';
  const wantsOne = n === undefined || n === null || n === 1;
  // A call in a conversation adds to it.
  return isSettled && wantsOne && (conversation === undefined || conversation === null);
};

/** JSON without spaces, with the members of each object in the order of their names. */
const canonicalJson = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`);
  return `{${members.join(',')}}`;
};

/**
 * The hash of what a request asks, in 32 hex digits. Two requests with the same hash ask the same model the same question.
 * Undefined when each such request wants a call of its own: only embeddings, moderations and requests for one answer with
 * `temperature` 0 or a `seed` have a hash. The order of members and the spaces in a line's JSON do not matter.
 *
 * @param model the model that is called, as `provider/model`
 * @param checkSchema whether the answer is checked against the request's schema
 */
export const questionHash = (
  { url, body }: Pick<RequestLine, 'url' | 'body'>,
  model: string,
  checkSchema = false,
): string | undefined => {
  if (!hasOneAnswer(url, body)) return undefined;
  return hash('sha256', canonicalJson([url, checkSchema, { ...body, model }]), 'hex').slice(0, 32);
};
