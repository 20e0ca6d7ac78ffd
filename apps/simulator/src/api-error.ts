import { ApiError } from '@promptmill/core';

export function missingParameter(param: string): ApiError {
  return new ApiError(400, `Missing required parameter: '${param}'.`, {
    param,
    code: 'missing_required_parameter',
  });
}

export function invalidParameter(param: string, expected: string): ApiError {
  return new ApiError(400, `Invalid value for '${param}': expected ${expected}.`, { param, code: 'invalid_value' });
}

interface StatusText {
  readonly message: string;
  readonly type?: string;
  readonly code?: string;
}

const statusTexts: Readonly<Record<number, StatusText>> = {
  401: { message: 'Incorrect API key provided.', type: 'invalid_request_error', code: 'invalid_api_key' },
  402: { message: 'Payment required.', type: 'billing_error', code: 'payment_required' },
  403: { message: 'You are not allowed to use this model.', code: 'permission_denied' },
  404: { message: 'The requested resource does not exist.', code: 'not_found' },
  408: { message: 'The request timed out.', code: 'request_timeout' },
  409: { message: 'The resource was changed by another request.', code: 'conflict' },
  413: { message: 'The request body is too large.', code: 'request_too_large' },
  422: { message: 'The request could not be processed.', code: 'unprocessable_entity' },
  429: { message: 'Rate limit reached. Please try again later.', type: 'requests', code: 'rate_limit_exceeded' },
  500: { message: 'The server had an error while processing your request.' },
  503: { message: 'The engine is currently overloaded, please try again later.', type: 'service_unavailable_error' },
  529: { message: 'Overloaded.', type: 'overloaded_error', code: 'overloaded' },
};

/** The error that a provider gives with this status. A status without a text of its own gets a general one. */
export function errorForStatus(status: number): ApiError {
  const { message, ...detail } = statusTexts[status] ?? { message: `The request failed with status ${status}.` };
  return new ApiError(status, message, detail);
}

export function insufficientQuota(): ApiError {
  return new ApiError(429, 'You exceeded your current quota, please check your plan and billing details.', {
    type: 'insufficient_quota',
    code: 'insufficient_quota',
  });
}

/** OpenAI's answer to a call over a limit. Source: https://platform.openai.com/docs/guides/rate-limits */
export function rateLimitReached(model: string, reason: 'requests' | 'tokens' | 'in-flight'): ApiError {
  const limit = {
    requests: 'requests per min (RPM)',
    tokens: 'tokens per min (TPM)',
    'in-flight': 'concurrent requests',
  };
  return new ApiError(429, `Rate limit reached for ${model} on ${limit[reason]}. Please try again later.`, {
    type: reason === 'tokens' ? 'tokens' : 'requests',
    code: 'rate_limit_exceeded',
  });
}

/**
 * A flex tier's answer to a call that it has no capacity for.
 * Source: https://developers.openai.com/api/docs/guides/flex-processing, https://console.groq.com/docs/flex-processing
 */
export function noFlexCapacity(status: 429 | 498): ApiError {
  const code = status === 498 ? 'capacity_exceeded' : 'resource_unavailable';
  return new ApiError(status, 'The flex tier has no capacity for this request. Please try again later.', { code });
}

export function modelNotFound(model: string): ApiError {
  return new ApiError(404, `The model '${model}' does not exist or you do not have access to it.`, {
    param: 'model',
    code: 'model_not_found',
  });
}
