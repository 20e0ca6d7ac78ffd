import { field } from '@promptmill/core';

export interface Failure {
  readonly customId: string;
  /** The error's code, or the code, type and status of the answer: what says most comes first. Four at most. */
  readonly codes: readonly string[];
  /** What went wrong, in the words of who refused. */
  readonly message: string;
}

/** Reads from a line of an error file what went wrong. */
export const readFailure = (line: string): Failure => {
  const result: unknown = JSON.parse(line);
  const response = field(result, 'response');
  const error = field(result, 'error');
  const answered = field(field(response, 'body'), 'error');
  const codes = [
    field(error, 'code'),
    field(answered, 'code'),
    field(answered, 'type'),
    field(response, 'status_code'),
  ];
  const message = field(error, 'message') ?? field(answered, 'message') ?? answered;
  return {
    customId: String(field(result, 'custom_id')),
    codes: codes.filter((code) => typeof code === 'string' || typeof code === 'number').map(String),
    message: typeof message === 'string' ? message : (JSON.stringify(message) ?? ''),
  };
};
