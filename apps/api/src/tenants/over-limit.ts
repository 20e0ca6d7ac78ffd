import { ApiError, type TenantLimits } from '@promptmill/core';

type Limited = keyof Pick<
  TenantLimits,
  'queuedRequests' | 'activeBatches' | 'storedBytes' | 'uploadsAtOnce' | 'eventStreamsAtOnce' | 'liveCallsAtOnce'
>;

interface OverLimit {
  readonly limit: number;
  /** What the tenant uses already. */
  readonly used: number;
  /** What this request would add. */
  readonly more?: number;
}

const errors: Readonly<Record<Limited, { readonly code: string; readonly what: string; readonly until: string }>> = {
  queuedRequests: {
    code: 'too_many_queued_requests',
    what: 'requests in batches that have not ended',
    until: 'They count until their batch ends.',
  },
  activeBatches: {
    code: 'too_many_active_batches',
    what: 'batches that have not ended',
    until: 'Wait for the end of one, or cancel it.',
  },
  storedBytes: {
    code: 'too_many_stored_bytes',
    what: 'bytes in files, uploads under way included',
    until: 'Delete files, or wait until some expire.',
  },
  uploadsAtOnce: {
    code: 'too_many_uploads',
    what: 'uploads under way',
    until: 'Wait for the end of one.',
  },
  eventStreamsAtOnce: {
    code: 'too_many_event_streams',
    what: 'open event streams',
    until: 'Close one; one whose connection broke counts for up to 30 s.',
  },
  liveCallsAtOnce: {
    code: 'too_many_live_calls',
    what: 'live calls that wait for their answers',
    until: 'Wait for some of the answers.',
  },
};

/** The error for a request with which a tenant would be over one of its limits. */
export const overLimit = (name: Limited, { limit, used, more }: OverLimit): ApiError => {
  const { code, what, until } = errors[name];
  const added = more === undefined ? '' : `, and this request would add ${more}`;
  const message = `You have ${used} ${what}${added}; ${limit} are allowed (${name}). ${until}`;
  return name === 'storedBytes'
    ? new ApiError(507, message, { code, type: 'invalid_request_error' })
    : new ApiError(429, message, { code, ...(name === 'liveCallsAtOnce' ? { retryAfterSeconds: 1 } : {}) });
};
