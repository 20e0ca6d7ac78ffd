import type { JsonObject } from '@promptmill/core';
import { invalidParameter } from '../api-error.ts';

/** What is known of an answer before any of it is sent. */
export interface PreparedAnswer {
  /** All text of the prompt, with its markers. */
  readonly prompt: string;
  /** Prompt and completion tokens together: what the call takes of a token limit. */
  readonly tokens: number;
  /** Whether {@link render} gives server-sent events instead of one JSON object. */
  readonly stream: boolean;
  render(context: AnswerContext): string;
}

export interface AnswerContext {
  /** Unique for each call, without a prefix. */
  readonly id: string;
  /** Unix time in seconds. */
  readonly createdAt: number;
  readonly contentFiltered: boolean;
  /** Tokens of the prompt that were cached. */
  readonly cachedTokens: number;
}

/**
 * Checks a request body and prepares its answer. The same body always gets the same answer.
 * @throws ApiError 400 when a parameter is missing or wrong.
 */
export type PrepareAnswer = (body: JsonObject, model: string) => PreparedAnswer;

/** An integer parameter; undefined when it is left out or null. */
export function readInteger(body: JsonObject, name: string, min: number, max: number): number | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw invalidParameter(name, `an integer from ${min} to ${max}`);
  }
  return value as number;
}

/** What an answer says of its tier. Nothing, where the request names none. */
export function tierOfAnswer({ service_tier: tier }: JsonObject): { readonly service_tier?: 'flex' | 'default' } {
  return typeof tier === 'string' ? { service_tier: tier === 'flex' ? 'flex' : 'default' } : {};
}

export function readMaxTokens(body: JsonObject, name: string): number | undefined {
  return readInteger(body, name, 1, 10_000_000);
}
