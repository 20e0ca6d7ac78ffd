/** OpenAI's error body. Source: https://platform.openai.com/docs/guides/error-codes */
export interface ApiErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

export interface ApiErrorOptions {
  /** Machine-readable code, such as `missing_required_parameter`. Default null. */
  readonly code?: string | null;
  /** The parameter at fault. Default null. */
  readonly param?: string | null;
  /** OpenAI's error type. Default: chosen by the status. */
  readonly type?: string;
  /** When to try again. The answer has it as `Retry-After`. Default: not said. */
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
}

const typeOfStatus = (status: number): string => {
  if (status === 401) return 'authentication_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
};

/** An error that the HTTP API answers with, in OpenAI's shape. The caller sees its message. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string | null;
  readonly param: string | null;
  readonly type: string;
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, message: string, options: ApiErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'ApiError';
    this.status = status;
    this.code = options.code ?? null;
    this.param = options.param ?? null;
    this.type = options.type ?? typeOfStatus(status);
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  toBody(): ApiErrorBody {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }
}
