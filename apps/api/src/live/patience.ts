import type { IncomingHttpHeaders } from 'node:http';
import { ApiError } from '@promptmill/core';

/** How long a caller waits who does not say it. It is the default of OpenAI's clients. */
const defaultSeconds = 600;
const longestSeconds = 86_400;
/** The answer needs time to reach a caller who stops waiting at a certain moment. */
const marginMs = 1000;
const marginShare = 0.05;

const secondsIn = (value: string | string[] | undefined): number | undefined => {
  const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  return seconds > 0 && seconds <= longestSeconds ? seconds : undefined;
};

/**
 * How long the caller of a live call waits for its answer, in milliseconds: as `X-Promptmill-Timeout` says (seconds), else
 * as OpenAI's clients say (`x-stainless-timeout` of the one for Node, `x-stainless-read-timeout` of the one for Python),
 * else 10 minutes. Throws ApiError 400 for a header of ours that is no such number.
 */
export const patienceMsOf = (headers: IncomingHttpHeaders): number => {
  const own = headers['x-promptmill-timeout'];
  const asked = secondsIn(own);
  if (own !== undefined && asked === undefined)
    throw new ApiError(400, `X-Promptmill-Timeout must be a number of seconds up to ${longestSeconds}.`, {
      code: 'invalid_value',
      param: 'X-Promptmill-Timeout',
    });
  const stated = asked ?? secondsIn(headers['x-stainless-timeout']) ?? secondsIn(headers['x-stainless-read-timeout']);
  const waitsMs = (stated ?? defaultSeconds) * 1000;
  return waitsMs - Math.min(marginMs, waitsMs * marginShare);
};
