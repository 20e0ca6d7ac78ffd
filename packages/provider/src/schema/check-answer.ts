import { answerSchemaOf, type AnswerText, answerTextsOf, type RequestJob } from '@promptmill/core';
import type { CallFailure, CallSuccess } from '../call-result.ts';
import { classOf, type FailureCode } from '../classify-answer.ts';
import type { SchemaChecker } from './schema-checker.ts';

type Checked = Pick<RequestJob, 'tenant' | 'url' | 'body'>;

const maxMessageLength = 1000;

const failureOf = (
  { statusCode, requestId, json, usage }: CallSuccess,
  code: FailureCode,
  message: string,
): CallFailure => {
  return {
    kind: 'failure',
    class: classOf(code),
    code,
    message: message.slice(0, maxMessageLength),
    answer: { statusCode, requestId, json },
    ...(usage.inputTokens + usage.outputTokens === 0 ? {} : { usage }),
  };
};

const mismatch = (answer: CallSuccess, { text, refusal, cutOffBy }: AnswerText, faults: readonly string[]) => {
  if (refusal !== undefined) return failureOf(answer, 'answer_refused', `The model refuses to answer: ${refusal}`);
  if (cutOffBy !== undefined) return failureOf(answer, 'answer_cut_off', `The answer was cut off (${cutOffBy}).`);
  const message = `The answer does not match its schema: ${faults.join('; ')}`;
  return { ...failureOf(answer, 'schema_mismatch', message), mismatch: { text, faults } };
};

/** Checks requests and their answers against the schemas that the requests name. */
export const createAnswerCheck = (checker: Pick<SchemaChecker, 'check'>) => ({
  /** What is wrong with a request's schema. Undefined when answers can be checked. */
  async findSchemaFault({ tenant, url, body }: Checked): Promise<string | undefined> {
    const verdict = await checker.check({ tenant, schema: answerSchemaOf(url, body) });
    if (verdict.kind === 'invalid') return `The schema of this request is no JSON Schema: ${verdict.fault}`;
    return verdict.kind === 'costly' ? 'The schema of this request takes too long to check.' : undefined;
  },

  /** The same answer, or how it fails. */
  async check({ tenant, url, body }: Checked, answer: CallSuccess): Promise<CallSuccess | CallFailure> {
    const schema = answerSchemaOf(url, body);
    for (const text of answerTextsOf(url, JSON.parse(answer.json))) {
      // The answer is paid for, whatever becomes of its check.
      const verdict = await checker
        .check({ tenant, schema, text: text.text })
        .catch(() => ({ kind: 'failed' }) as const);
      if (verdict.kind === 'mismatch') return mismatch(answer, text, verdict.faults);
      if (verdict.kind === 'ok') continue;
      const why = verdict.kind === 'failed' ? 'the check failed' : 'its schema takes too long';
      return failureOf(answer, 'answer_unchecked', `The answer could not be checked: ${why}.`);
    }
    return answer;
  },
});

export type AnswerCheck = ReturnType<typeof createAnswerCheck>;
