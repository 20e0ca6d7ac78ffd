/** What the API answered in place of what was asked for. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** The HTTP status; 0 when no answer came. */
  readonly status: number;
  readonly code: string | null;

  constructor(status: number, message: string, code: string | null = null) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const isErrorBody = (body: unknown): body is { error: { message: string; code: string | null } } =>
  typeof body === 'object' && body !== null && 'error' in body;

/** Reads the error that an answer holds. */
export const readError = async (response: Response): Promise<ApiError> => {
  const body: unknown = await response.json().catch(() => undefined);
  return isErrorBody(body)
    ? new ApiError(response.status, body.error.message, body.error.code)
    : new ApiError(response.status, `The server answered ${response.status}.`);
};

/** What a person reads of any error. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
