import { isIP, type LookupFunction } from 'node:net';
import {
  bodyFor,
  type DeliveryError,
  isPublicAddress,
  signatureHeaders,
  webhookUrlProblem,
  type WebhookEvent,
} from '@promptmill/core';
import { Agent, request } from 'undici';
import type { ResolveHost } from './resolve-host.ts';

/** An event and where it goes. */
export interface EventToSend {
  readonly url: string;
  /** Each of them signs. A chat needs none. */
  readonly secrets: readonly string[];
  readonly event: WebhookEvent;
}

export type SendOutcome =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'failed'; readonly error: DeliveryError }
  /** The process stops. The receiver may have the event. */
  | { readonly kind: 'given up' };

export interface SendEventOptions {
  readonly resolveHost: ResolveHost;
  /** Whether a webhook may be in a private network, and use http. */
  readonly allowPrivate: boolean;
  /** Fires when the process has to end. */
  readonly giveUp: AbortSignal;
  readonly now: () => number;
}

/** Longest time of one attempt, DNS and connection included. */
const attemptTimeoutMs = 15_000;
/** An answer says all in its status. So much of its body is read that most receivers see no broken connection. */
const readBody = { bytes: 16 * 1024, timeoutMs: 1000 };

const privateAddress = 'PRIVATE_ADDRESS';
const privateAddressError = () => Object.assign(new Error('a private address'), { code: privateAddress });

const hostErrors = new Set(['ENOTFOUND', 'ENODATA', 'ESERVFAIL', 'EREFUSED', 'ETIMEOUT', 'ECANCELLED', 'EAI_AGAIN']);
const certificateErrors = /CERT|^UNABLE_TO_|^ERR_TLS_/;

const failureOf = (error: unknown): DeliveryError => {
  const { name, code } = error as { readonly name?: string; readonly code?: unknown };
  const known = typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code) ? code : 'unknown';
  if (name === 'TimeoutError')
    return { code: 'timeout', message: `No answer came within ${attemptTimeoutMs / 1000} s.` };
  if (known === privateAddress) return { code: 'private_address', message: 'Its host is in a private network.' };
  if (hostErrors.has(known)) return { code: 'host_not_found', message: `Its host was not found (${known}).` };
  if (certificateErrors.test(known))
    return { code: 'invalid_certificate', message: `Its certificate is not valid (${known}).` };
  return { code: 'connection_failed', message: `The connection failed (${known}).` };
};

const failureOfStatus = (status: number): DeliveryError =>
  status >= 300 && status < 400
    ? { code: 'redirect', message: `It answered with a redirect (${status}), which is not followed.` }
    : { code: 'bad_status', message: `It answered with status ${status}.` };

/**
 * Posts an event to a URL, once, on a connection of its own. It throws nothing. Which addresses a host has is checked as
 * the connection is made, so a name that changes its address between two looks gains nothing.
 */
export const createSendEvent = ({ resolveHost, allowPrivate, giveUp, now }: SendEventOptions) => {
  const openAgent = (signal: AbortSignal): Agent => {
    const lookup: LookupFunction = (hostname, options, done) => {
      const fail = (error: NodeJS.ErrnoException): void => done(error, '', 4);
      resolveHost(hostname, signal).then((addresses) => {
        const found = addresses
          .filter((address) => allowPrivate || isPublicAddress(address))
          .map((address) => ({ address, family: isIP(address) }));
        const [first] = found;
        if (!first) fail(privateAddressError());
        else if (options.all) done(null, found);
        else done(null, first.address, first.family);
      }, fail);
    };
    return new Agent({ connect: { lookup, timeout: attemptTimeoutMs }, pipelining: 0, maxHeaderSize: 16 * 1024 });
  };

  const post = async ({ url, secrets, event }: EventToSend, signal: AbortSignal): Promise<number> => {
    const body = bodyFor(url, event);
    const message = { id: event.id, timestamp: Math.floor(now() / 1000), body };
    const agent = openAgent(signal);
    // undici hears of the signal only once it has its connection.
    const stop = (): void => void agent.destroy(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
    try {
      const answer = await request(url, {
        method: 'POST',
        dispatcher: agent,
        headers: {
          'content-type': 'application/json',
          'user-agent': 'Promptmill',
          ...(secrets.length > 0 ? signatureHeaders(message, secrets) : {}),
        },
        body,
        signal,
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      const read = answer.body.dump({ limit: readBody.bytes, signal: AbortSignal.timeout(readBody.timeoutMs) });
      await read.catch(() => {});
      return answer.statusCode;
    } finally {
      signal.removeEventListener('abort', stop);
      await agent.destroy();
    }
  };

  return async (sent: EventToSend): Promise<SendOutcome> => {
    // Nothing is looked up for a URL with an address, so it is checked here. The setting may have changed, too.
    const problem = webhookUrlProblem(sent.url, allowPrivate);
    if (problem !== undefined)
      return { kind: 'failed', error: { code: 'url_not_allowed', message: `Its URL is not allowed: ${problem}.` } };
    const signal = AbortSignal.any([giveUp, AbortSignal.timeout(attemptTimeoutMs)]);
    try {
      const status = await post(sent, signal);
      return status >= 200 && status < 300 ? { kind: 'delivered' } : { kind: 'failed', error: failureOfStatus(status) };
    } catch (error) {
      if (giveUp.aborted) return { kind: 'given up' };
      return { kind: 'failed', error: failureOf(signal.aborted ? signal.reason : error) };
    }
  };
};

export type SendEvent = ReturnType<typeof createSendEvent>;
