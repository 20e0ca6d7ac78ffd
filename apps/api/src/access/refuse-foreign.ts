import { ApiError } from '@promptmill/core';
import type { Request, RequestHandler } from 'express';
import type { ApiConfig } from '../api-config.ts';
import { createServesHost, hostNameOf, isAmong } from './host-names.ts';

/** Health checks come by any name, and learn nothing. */
const healthPaths = new Set(['/livez', '/readyz']);
const readingMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

const refusal = (code: string, message: string): ApiError => new ApiError(403, message, { code });

/** The header by which a proxy says for whom it asks. */
const proxyHeaderOf = ({ headers }: Request): string | undefined =>
  Object.keys(headers).find((name) => /^(?:forwarded|x-forwarded-.+|x-real-ip)$/.test(name));

/** Whether the browser says that a page of another origin asks. Source: https://www.w3.org/TR/fetch-metadata/ */
const isOfOtherSite = (request: Request): boolean =>
  ['cross-site', 'same-site'].includes(request.get('sec-fetch-site') ?? '');

/** Whether a person follows a link: no script can read what comes. */
const isNavigation = (request: Request): boolean =>
  request.get('sec-fetch-mode') === 'navigate' && request.get('sec-fetch-dest') === 'document';

/** A proxy may pass another `Host` on than the page's own, and so a page of a host that is allowed is not foreign. */
const isOwnOrigin = (origin: string, host: string, allowedHosts: readonly string[]): boolean => {
  if (!URL.canParse(origin)) return false;
  const page = new URL(origin);
  return page.host === host.toLowerCase() || isAmong(hostNameOf(page.host) ?? '', allowedHosts);
};

/**
 * Refuses what a page of another site makes a browser send, and while there are no API keys also what comes through a
 * proxy, or by a name that is not known to be this machine's. Programs that are no browser send none of these headers.
 */
export const createRefuseForeign = (
  config: Pick<ApiConfig, 'host' | 'allowedHosts'>,
  isKeyless: () => boolean,
): RequestHandler => {
  const servesHost = createServesHost(config, isKeyless);
  const { allowedHosts = [] } = config;

  return (request, _response, next) => {
    if (healthPaths.has(request.path)) return next();
    const { host = '', origin } = request.headers;
    if (!servesHost(hostNameOf(host)))
      throw refusal(
        'host_not_allowed',
        `The host ${JSON.stringify(host)} is not served here. To serve it, add its name to PROMPTMILL_ALLOWED_HOSTS.`,
      );
    const proxyHeader = isKeyless() ? proxyHeaderOf(request) : undefined;
    if (proxyHeader !== undefined)
      throw refusal(
        'proxy_without_api_keys',
        `The header ${proxyHeader} says that the request came through a proxy, and anyone may use this api. Set PROMPTMILL_API_KEYS.`,
      );
    if (readingMethods.has(request.method)) {
      if (isKeyless() && isOfOtherSite(request) && !isNavigation(request))
        throw refusal('origin_not_allowed', 'A page of another site may not read from this api.');
      return next();
    }
    if (origin !== undefined && !isOwnOrigin(origin, host, allowedHosts))
      throw refusal('origin_not_allowed', `A page of ${JSON.stringify(origin)} may not change anything here.`);
    if (isOfOtherSite(request))
      throw refusal('origin_not_allowed', 'A page of another site may not change anything here.');
    next();
  };
};
