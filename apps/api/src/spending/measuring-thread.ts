import { parentPort } from 'node:worker_threads';
import type { RequestLine } from '@promptmill/core';
import { measureRequests, openTokenCounter } from '@promptmill/provider';

/** The thread of `measuring.ts`. Loading the tokenizer blocks it for half a second. */
const countTokens = await openTokenCounter();
parentPort?.on('message', (requests: readonly RequestLine[]) => {
  parentPort?.postMessage(measureRequests(requests, countTokens));
});
