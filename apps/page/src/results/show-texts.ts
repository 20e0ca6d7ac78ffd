import type { RequestLine, ResultLine } from '../api/answers.ts';

const field = (value: unknown, name: string | number): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[name] : undefined;

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** The text of a message's content: a text, or parts of which some are texts. */
const textOf = (content: unknown): string => {
  if (typeof content === 'string') return content;
  const texts = listOf(content).map((part) => {
    const text = field(part, 'text') ?? field(part, 'refusal');
    if (typeof text === 'string') return text;
    const type = field(part, 'type');
    return `[${typeof type === 'string' ? type : 'part'}]`;
  });
  return texts.join('\n');
};

/** What a request asks, as a person reads it. */
export const promptOf = ({ body }: Pick<RequestLine, 'body'>): string => {
  const messages = listOf(field(body, 'messages') ?? field(body, 'input'));
  const last = messages.findLast((message) => field(message, 'role') !== undefined);
  if (last !== undefined) return textOf(field(last, 'content'));
  const prompt = field(body, 'prompt') ?? field(body, 'input');
  if (typeof prompt === 'string') return prompt;
  return prompt === undefined ? '' : JSON.stringify(prompt);
};

/** The system message of a request; empty when it has none. */
export const systemOf = ({ body }: Pick<RequestLine, 'body'>): string => {
  const [first] = listOf(field(body, 'messages'));
  return textOf(field(first, 'role') === 'system' ? field(first, 'content') : field(body, 'instructions'));
};

const choiceText = (choice: unknown): string => {
  const message = field(choice, 'message');
  const text = textOf(field(message, 'content')) || textOf(field(message, 'refusal')) || textOf(field(choice, 'text'));
  const calls = listOf(field(message, 'tool_calls')).map((call) => JSON.stringify(field(call, 'function') ?? call));
  return [text, ...calls].filter((part) => part !== '').join('\n');
};

const imagesText = (images: readonly unknown[]): string => {
  const [first] = images;
  const url = field(first, 'url');
  const text = typeof url === 'string' ? url : field(first, 'b64_json') === undefined ? '' : 'an image';
  return text === '' || images.length === 1 ? text : `${text} and ${images.length - 1} more`;
};

/** What an answer says, as a person reads it: of chat, completions, responses, embeddings, images and moderations. */
export const answerOf = ({ response }: Pick<ResultLine, 'response'>): string => {
  const body = response?.body;
  const choices = listOf(field(body, 'choices'));
  if (choices.length > 0) return choices.map(choiceText).join('\n\n');
  const output = listOf(field(body, 'output')).map((item) => textOf(field(item, 'content')));
  if (output.some((text) => text !== '')) return output.filter((text) => text !== '').join('\n');
  const data = listOf(field(body, 'data'));
  const images = imagesText(data);
  if (images !== '') return images;
  const embedding = field(data[0], 'embedding');
  if (embedding !== undefined) return Array.isArray(embedding) ? `${embedding.length} numbers` : 'an embedding';
  const flagged = field(field(field(body, 'results'), 0), 'flagged');
  return typeof flagged === 'boolean' ? (flagged ? 'flagged' : 'not flagged') : '';
};

/** What went wrong: a code and a message. Undefined for a good answer. */
export const failureOf = ({
  error,
  response,
}: ResultLine): { readonly code: string; readonly message: string } | undefined => {
  if (error) return error;
  if (response && response.status_code >= 200 && response.status_code < 300) return undefined;
  const answered = field(response?.body, 'error');
  const codes = [field(answered, 'code'), field(answered, 'type'), String(response?.status_code ?? 'error')];
  const message = field(answered, 'message');
  return {
    code: codes.find((code) => typeof code === 'string') ?? '',
    message: typeof message === 'string' ? message : '',
  };
};

/** The position of a result's request in the input, from 0: the number at the end of its id. */
export const indexOf = ({ id }: Pick<ResultLine, 'id'>): number => Number(id.slice(id.lastIndexOf('_') + 1));
