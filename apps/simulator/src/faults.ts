import type { ServerResponse } from 'node:http';
import type { ApiError } from '@promptmill/core';
import { insufficientQuota } from './api-error.ts';
import type { Headers } from './send-answer.ts';

/** A good answer, before a fault changes it. */
export interface WholeAnswer {
  readonly body: string;
  readonly contentType: string;
  /** All headers. A stream of server-sent events has no `content-length`. */
  readonly headers: Headers;
}

/** What a fault can use. Each part is made on demand, since most faults need few. */
export interface FaultScene {
  readonly response: ServerResponse;
  /** Headers of any answer to this call: request id, rate limits. */
  readonly baseHeaders: () => Headers;
  readonly answer: (variant?: { readonly contentFiltered: boolean }) => WholeAnswer;
  readonly sendError: (error: ApiError) => void;
  /** Runs `tick` every second until the call ends. */
  readonly everySecond: (tick: () => void) => void;
  /** Ends the connection in the middle of the call. The call log then does not blame the caller. */
  readonly cut: (how: 'fin' | 'destroy' | 'rst') => void;
}

const tooDeep = 100_000;

/** Every fault there is, by the name that markers, rates and the call log use. */
export const faults = {
  /** Accepts the call and never answers. */
  hang: () => {},

  /** Sends the headers of a good answer and nothing after them. */
  'hang-after-headers': ({ response, answer }) => {
    response.writeHead(200, answer().headers);
    response.flushHeaders();
  },

  /** Sends half of a good answer and nothing after it. */
  'hang-mid-body': ({ response, answer }) => {
    const { headers, body } = answer();
    response.writeHead(200, headers);
    response.write(firstHalf(body));
  },

  /** Announces the length of the whole answer, sends half and closes the connection with a FIN. */
  truncate: ({ response, answer, cut }) => {
    const { headers, body } = answer();
    response.writeHead(200, headers);
    response.write(firstHalf(body), () => cut('fin'));
  },

  /** Sends half of an answer without its length, as of a stream of events, and destroys the connection. */
  'stream-cut': ({ response, answer, baseHeaders, cut }) => {
    const { contentType, body } = answer();
    response.writeHead(200, { ...baseHeaders(), 'content-type': contentType });
    response.write(firstHalf(body), () => cut('destroy'));
  },

  /** Resets the connection before a byte is sent. */
  reset: ({ cut }) => cut('rst'),

  /** Sends a good answer at one byte a second. */
  trickle: ({ response, answer, everySecond }) => {
    const { headers, body } = answer();
    const bytes = Buffer.from(body);
    response.writeHead(200, headers);
    let sent = 0;
    everySecond(() => {
      response.write(bytes.subarray(sent, ++sent));
      if (sent === bytes.length) response.end();
    });
  },

  /** Sends a proxy's page instead of an answer. */
  html: (scene) => {
    sendBody(scene, 'text/html; charset=utf-8', '<!doctype html><title>Sign in</title><h1>Sign in to continue</h1>\n');
  },

  /** Sends a success without a body. */
  empty: (scene) => sendBody(scene, 'application/json', ''),

  /** Sends JSON that ends too early, with the right length. */
  'invalid-json': (scene) => sendBody(scene, 'application/json', '{"id":"sim","object":'),

  /** Sends JSON that is no answer of any endpoint. */
  'wrong-shape': (scene) => sendBody(scene, 'application/json', '{"status":"ok","choices":null}'),

  /** Sends a chat completion that is nested too deeply for JSON.stringify. */
  'too-deep': (scene) => {
    const content = '['.repeat(tooDeep) + ']'.repeat(tooDeep);
    sendBody(scene, 'application/json', `{"object":"chat.completion","choices":[{"message":{"content":${content}}}]}`);
  },

  /** Says that the account has no money left, with a 429 that no retry helps. */
  insufficient_quota: ({ sendError }) => sendError(insufficientQuota()),

  /** Sends a good answer that a content filter stopped. Embeddings have no such filter, and answer as usual. */
  'content-filter': ({ response, answer }) => {
    const { headers, body } = answer({ contentFiltered: true });
    response.writeHead(200, headers).end(body);
  },
} as const satisfies Readonly<Record<string, (scene: FaultScene) => void>>;

export type FaultName = keyof typeof faults;

export const faultNames = Object.keys(faults) as readonly FaultName[];

export function isFaultName(name: string): name is FaultName {
  return Object.hasOwn(faults, name);
}

function firstHalf(body: string): Buffer {
  const bytes = Buffer.from(body);
  return bytes.subarray(0, Math.ceil(bytes.length / 2));
}

function sendBody({ response, baseHeaders }: FaultScene, contentType: string, body: string): void {
  const headers = { ...baseHeaders(), 'content-type': contentType, 'content-length': Buffer.byteLength(body) };
  response.writeHead(200, headers).end(body);
}
