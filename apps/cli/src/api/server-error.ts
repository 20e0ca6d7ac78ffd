import type { Response } from 'undici';
import { CliError } from '../cli-error.ts';

/** What to type after an answer of the server, where its message does not say it. */
const nextSteps: readonly { readonly status: number; readonly about: RegExp; readonly next: string }[] = [
  { status: 401, about: /./, next: 'export PROMPTMILL_API_KEY=… with a key of this server' },
  { status: 404, about: /^No batch /, next: 'promptmill list shows yours' },
];

/** The error that an answer of the server is, with what to type next. */
export const errorOf = async (response: Response): Promise<CliError> => {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text) as { error: { message: string; code: string | null } };
    const { message } = error;
    const next = nextSteps.find(({ status, about }) => status === response.status && about.test(message))?.next;
    const said = next === undefined ? message : `${message.replace(/\.$/, '')}: ${next}`;
    return new CliError(error.code ?? `http_${response.status}`, said);
  } catch {
    return new CliError(
      `http_${response.status}`,
      `the server answered ${response.status}, so it may be no Promptmill server: export PROMPTMILL_URL=http://… names one`,
    );
  }
};
