import {
  type AnswerSchema,
  type Endpoint,
  isJsonObject,
  type JsonObject,
  messageEndpoints,
  type ServiceTier,
  serviceTiers,
  strategies,
  type Strategy,
} from '@promptmill/core';
import { type InputFormat, inputFormats } from '@promptmill/files';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { CliError } from '../cli-error.ts';
import { readSchema, withSchema } from './answer-schema.ts';
import { readText } from './read-text.ts';

const endpointsByName = {
  chat: '/v1/chat/completions',
  completions: '/v1/completions',
  embeddings: '/v1/embeddings',
  responses: '/v1/responses',
  moderations: '/v1/moderations',
  images: '/v1/images/generations',
  'image-edits': '/v1/images/edits',
} as const satisfies Readonly<Record<string, Endpoint>>;

/** What both kinds of options have in common. */
interface SharedOptions {
  readonly model?: string | undefined;
  /** The column that names each request. */
  readonly id?: string | undefined;
  /** The column that has an image for each request. */
  readonly image?: string | undefined;
  readonly maxTokens?: number | undefined;
  readonly temperature?: number | undefined;
  readonly format?: InputFormat | undefined;
  /** Take only so many requests, from the first on. */
  readonly limit?: number | undefined;
  /** Take only so many requests, chosen at random. */
  readonly sample?: number | undefined;
  /** Decides which requests a sample takes. */
  readonly seed?: number | undefined;
  readonly completionWindow: string;
  /** What the batch may cost at most, in USD. */
  readonly maxCost?: number | undefined;
  /** Call requests that ask the same once. */
  readonly dedupe?: boolean | undefined;
  /** The tier that requests begin in. */
  readonly tier?: ServiceTier | undefined;
  /** Whether requests go through their provider's own batch API. */
  readonly strategy?: Strategy | undefined;
}

/** Options of both `run` and `submit`, as the command line has them: how an input becomes requests. */
export interface PromptOptions extends SharedOptions {
  /** A text or `@file`, as `system` and `params` are. */
  readonly prompt?: string;
  readonly system?: string;
  readonly endpoint?: keyof typeof endpointsByName;
  readonly params?: string;
  readonly param?: JsonObject;
  /** A JSON Schema or `@file`. */
  readonly schema?: string;
}

/** The same options with the files read that they name. */
export interface ResolvedPromptOptions extends SharedOptions {
  /** The template of each prompt. */
  readonly prompt: string | undefined;
  readonly system: string | undefined;
  readonly endpoint: Endpoint | undefined;
  /** Further fields of each body. The schema is in them. */
  readonly params: JsonObject | undefined;
  /** What each answer has to match. */
  readonly schema: AnswerSchema | undefined;
}

export const wholeNumber =
  (min: number, max: number) =>
  (text: string): number => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };

export const positiveNumber = (text: string): number => {
  const number = Number(text);
  if (text.trim() !== '' && number > 0 && number < Infinity) return number;
  throw new InvalidArgumentError('It must be a number above 0.');
};

const zeroOrMore = (text: string): number => {
  const number = Number(text);
  if (text.trim() !== '' && number >= 0 && number < Infinity) return number;
  throw new InvalidArgumentError('It must be a number, 0 or above.');
};

const temperature = (text: string): number => {
  const number = Number(text);
  if (text.trim() !== '' && number >= 0 && number <= 2) return number;
  throw new InvalidArgumentError('It must be a number from 0 to 2.');
};

/** Fields that other options or the input itself give. */
const reservedParams = new Set(['model', 'messages', 'input', 'prompt', 'instructions', 'stream']);

const assertFreeParam = (name: string): void => {
  if (reservedParams.has(name)) throw new InvalidArgumentError(`${name} is not a parameter: it comes from elsewhere.`);
};

/** `top_p=0.9` is a number, `stop=["."]` an array; what is no JSON is text. */
const collectParam = (text: string, params: JsonObject = {}): JsonObject => {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('It must be key=value.');
  const name = text.slice(0, equals);
  const value = text.slice(equals + 1);
  assertFreeParam(name);
  try {
    return { ...params, [name]: JSON.parse(value) as unknown };
  } catch {
    return { ...params, [name]: value };
  }
};

export const maxWhole = 1_000_000_000;

export const addPromptOptions = (command: Command): Command =>
  command
    .option('-p, --prompt <text|@file>', 'the prompt of every row, with {{column}} in place of its values')
    .option('-m, --model <provider/model>', 'the model of every request that names none')
    .option('--system <text|@file>', 'a system message before every prompt; with --prompt it may have {{column}} too')
    .option('--id <column>', "the column that is each request's custom_id (default: request-1, request-2 …)")
    .option('--image <column>', 'the column with an image for each prompt: a URL, or a file beside the input')
    .addOption(new Option('--endpoint <name>', 'what is called (default: chat)').choices(Object.keys(endpointsByName)))
    .option('--max-tokens <n>', 'most tokens in an answer', wholeNumber(1, maxWhole))
    .option('--temperature <t>', 'how random the answers are, from 0 to 2', temperature)
    .option('--param <key=value>', 'a further field of every body, such as top_p=0.9; may be repeated', collectParam)
    .option('--params <json|@file>', 'further fields of every body, as a JSON object')
    .option('--schema <json|@file>', 'the JSON Schema that every answer has to match; its properties become columns')
    .addOption(
      new Option('--format <format>', 'how to read the input (default: as its name and content say)').choices(
        inputFormats,
      ),
    )
    .option('--limit <n>', 'take only the first n requests', wholeNumber(1, maxWhole))
    .addOption(
      new Option('--sample <n>', 'take only n requests, chosen at random')
        .argParser(wholeNumber(1, maxWhole))
        .conflicts('limit'),
    )
    .option('--seed <n>', 'choose the same sample again for the same number', wholeNumber(0, 2 ** 32 - 1), 1)
    .option('--max-cost <usd>', 'pause before it costs more; each model needs a known price', positiveNumber)
    .option(
      '--confirm-above <usd>',
      'ask before a batch that is estimated to cost more (default: 10 on a terminal, else nothing is asked)',
      zeroOrMore,
    )
    .addOption(new Option('-y, --yes', 'start without a question').conflicts('confirmAbove'))
    .option('--dedupe', 'call prompts that are the same once; needs --temperature 0 or --param seed=1, or embeddings')
    .addOption(
      new Option(
        '--tier <tier>',
        'flex: begin in the cheaper, slower tier; what it would not answer in time goes to standard',
      ).choices(serviceTiers),
    )
    .addOption(
      new Option(
        '--strategy <strategy>',
        "whether requests go through their provider's own batch API, where one is configured",
      ).choices(strategies),
    )
    .option('--dry-run', 'show the first request, and how many there are and what they cost; call nothing')
    .option('--completion-window <window>', 'longest time that the batch may take, 1m to 30d', '24h');

const invalid = (message: string): CliError => new CliError('options_invalid', message);

const readParams = async ({ params: text, param }: PromptOptions): Promise<JsonObject | undefined> => {
  const json = await readText('--params', text);
  if (json === undefined) return param;
  let params: unknown;
  try {
    params = JSON.parse(json);
  } catch {
    // It is refused below.
  }
  if (!isJsonObject(params)) throw invalid('--params must be a JSON object, or @file with one in it');
  const reserved = Object.keys(params).find((name) => reservedParams.has(name));
  if (reserved !== undefined) throw invalid(`--params: ${reserved} is not a parameter: it comes from elsewhere`);
  return { ...params, ...param };
};

/**
 * Reads the files that options name, and checks that the options go together.
 *
 * @throws CliError `options_invalid`.
 */
export const resolvePromptOptions = async (options: PromptOptions): Promise<ResolvedPromptOptions> => {
  const { id, image, maxTokens } = options;
  const endpoint = options.endpoint && endpointsByName[options.endpoint];
  const prompt = await readText('--prompt', options.prompt);
  const system = await readText('--system', options.system);
  if (prompt === undefined && (id !== undefined || image !== undefined))
    throw invalid(
      `${id === undefined ? '--image' : '--id'} names a column: it needs --prompt, such as --prompt '{{text}}'`,
    );
  const schema = await readSchema(options.schema);
  if (endpoint !== undefined && !messageEndpoints.has(endpoint)) {
    const misplaced = [
      schema !== undefined && '--schema',
      system !== undefined && '--system',
      image !== undefined && '--image',
      maxTokens !== undefined && endpoint !== '/v1/completions' && '--max-tokens',
    ].find(Boolean);
    if (misplaced) throw invalid(`${misplaced} does not go with --endpoint ${options.endpoint}`);
  }
  const params = await readParams(options);
  return {
    ...options,
    prompt,
    system,
    endpoint,
    params: schema === undefined ? params : withSchema(params, endpoint, schema),
    schema: schema?.schema,
  };
};
