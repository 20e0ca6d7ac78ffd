import type { BatchError } from './batch.ts';
import { type Endpoint, endpoints } from './endpoints.ts';
import type { LineProblem, RequestLine } from './request-line.ts';

/** Most problems listed with a file. Further ones are only counted. */
export const maxListedProblems = 100;
/** Most characters of the listed problems as JSON: they quote what the file says. */
export const maxListedCharacters = 32 * 1024;
/** Most models that the lines of a file may name, and most characters of their names as JSON. */
export const maxModels = 1000;
export const maxModelCharacters = 32 * 1024;
const maxLinesPerUrl = 20;

/** What one pass over an input file found. It decides whether the validation of a batch of that file fails. */
export interface InputSummary {
  /** Lines that are not empty, valid or not. */
  readonly requests: number;
  readonly problems: readonly BatchError[];
  readonly problemCount: number;
  /** For each endpoint that lines name: how many do, and the numbers (1-based) of the first of them. */
  readonly urls: Readonly<Partial<Record<Endpoint, { readonly count: number; readonly lines: readonly number[] }>>>;
  /** For each model that lines name: the number (1-based) of the first of them. */
  readonly models: Readonly<Record<string, number>>;
}

/** Builds an {@link InputSummary} line by line. Its size does not grow with the file. */
export const createInputSummary = () => {
  let requests = 0;
  let problemCount = 0;
  const problems: BatchError[] = [];
  const urls = new Map<Endpoint, { count: number; lines: number[] }>();
  const models = new Map<string, number>();
  let modelCharacters = 0;
  let listedCharacters = 0;

  const addProblem = (line: number | null, { code, message, param }: LineProblem): void => {
    problemCount++;
    if (problems.length >= maxListedProblems || listedCharacters >= maxListedCharacters) return;
    const problem: BatchError = { code, message, param, line };
    listedCharacters += JSON.stringify(problem).length;
    if (listedCharacters <= maxListedCharacters) problems.push(problem);
  };

  return {
    addProblem,
    /** A line without a valid request counts as a request too. */
    addBadLine(line: number, problem: LineProblem): void {
      requests++;
      addProblem(line, problem);
    },
    addRequest(line: number, { url, body }: RequestLine): void {
      requests++;
      const named = urls.get(url) ?? { count: 0, lines: [] };
      named.count++;
      if (named.lines.length < maxLinesPerUrl) named.lines.push(line);
      urls.set(url, named);
      if (models.has(body.model)) return;
      const characters = JSON.stringify(body.model).length;
      if (models.size < maxModels && modelCharacters + characters <= maxModelCharacters) {
        models.set(body.model, line);
        modelCharacters += characters;
      } else
        addProblem(line, {
          code: 'too_many_models',
          message: `A batch may name at most ${maxModels} models, of ${maxModelCharacters} characters together.`,
          param: 'body.model',
        });
    },
    finish(): InputSummary {
      if (requests === 0 && problemCount === 0)
        addProblem(null, { code: 'empty_file', message: 'The input file has no requests.', param: null });
      return { requests, problems, problemCount, urls: Object.fromEntries(urls), models: Object.fromEntries(models) };
    },
  };
};

/** What a batch's input is held against. */
export interface BatchTerms {
  /** The endpoint that each line must name. */
  readonly endpoint: Endpoint;
  /** Most requests one batch may have. */
  readonly maxRequests: number;
  /** Why the batch may not use a model; undefined when it may. */
  readonly refusalOf: (model: string) => ModelRefusal | undefined;
}

export interface ModelRefusal {
  readonly code: string;
  readonly message: string;
}

/** Why a request of a tenant that may not use its model is not run. */
export const modelNotAllowed = (model: string): ModelRefusal => ({
  code: 'model_not_allowed',
  message: `You may not use the model \`${model}\`.`,
});

/** The first of these, so many that they have at most {@link maxListedCharacters} as JSON. */
const upToMaxCharacters = (errors: readonly BatchError[]): BatchError[] => {
  let characters = 0;
  return errors.filter((error) => (characters += JSON.stringify(error).length) <= maxListedCharacters);
};

/**
 * The errors that keep a batch from running this input, by line number: at most {@link maxListedProblems}, of at most
 * {@link maxListedCharacters} as JSON.
 */
export const findBatchErrors = (
  summary: InputSummary,
  { endpoint, maxRequests, refusalOf }: BatchTerms,
): BatchError[] => {
  const errors: BatchError[] = [...summary.problems];
  if (summary.requests > maxRequests)
    errors.push({
      code: 'too_many_tasks',
      message: `The input file has ${summary.requests} requests; a batch may have ${maxRequests}.`,
      param: null,
      line: null,
    });
  for (const url of endpoints) {
    if (url === endpoint) continue;
    for (const line of summary.urls[url]?.lines ?? [])
      errors.push({
        code: 'url_mismatch',
        message: `The URL \`${url}\` does not match the batch's endpoint \`${endpoint}\`.`,
        param: 'url',
        line,
      });
  }
  for (const [model, line] of Object.entries(summary.models)) {
    const refusal = refusalOf(model);
    if (refusal) errors.push({ ...refusal, param: 'body.model', line });
  }
  return upToMaxCharacters(errors.sort((a, b) => (a.line ?? 0) - (b.line ?? 0)).slice(0, maxListedProblems));
};

/** The model that all requests name; undefined when they name several. */
export const onlyModel = (summary: InputSummary): string | undefined => {
  const [first, ...others] = Object.keys(summary.models);
  return others.length === 0 ? first : undefined;
};
