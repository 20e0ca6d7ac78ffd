import { isIP } from 'node:net';
import { isPrivateHost } from './private-host.ts';
import { isPublicAddress } from './public-address.ts';

export const maxWebhookUrlLength = 2048;

/** The address that a URL's host is; undefined when it is a name. */
export const addressOf = ({ hostname }: URL): string | undefined => {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(host) > 0 ? host : undefined;
};

/** Whether a host is on the public internet, as far as its name tells. */
const mayBePublic = (url: URL): boolean => {
  const address = addressOf(url);
  return address === undefined ? !isPrivateHost(url.hostname.replace(/\.$/, '')) : isPublicAddress(address);
};

/**
 * What is wrong with a webhook's URL; undefined when nothing is. The message repeats no part of the URL, which may hold a
 * secret.
 *
 * @param allowPrivate whether it may be in a private network, and use http
 */
export const webhookUrlProblem = (text: string, allowPrivate: boolean): string | undefined => {
  if (text.length > maxWebhookUrlLength) return `it may have ${maxWebhookUrlLength} characters`;
  const url = URL.parse(text);
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) return 'it must be an https:// URL';
  if (url.username !== '' || url.password !== '') return 'it must have no login';
  if (allowPrivate) return undefined;
  if (url.protocol !== 'https:') return 'it must be an https:// URL';
  return mayBePublic(url) ? undefined : 'its host is in a private network';
};

/** The chat whose incoming webhook a URL is; undefined when it is none that is known. */
export const chatOf = (url: string): 'slack' | 'discord' | undefined => {
  const { hostname = '', pathname = '' } = URL.parse(url) ?? {};
  if (/^hooks\.slack(?:-gov)?\.com$/.test(hostname)) return 'slack';
  const isDiscord = /^(?:(?:canary|ptb)\.)?discord(?:app)?\.com$/.test(hostname);
  return isDiscord && pathname.startsWith('/api/webhooks/') ? 'discord' : undefined;
};

/** Where a batch's events go: the `webhook_url` and `webhook_secret` of its creation. */
export interface BatchWebhook {
  readonly url: string;
  /** `whsec_…` */
  readonly secret: string;
}

/** A URL without what may be secret in it: its path and query. */
export const originOf = (url: string): string => URL.parse(url)?.origin ?? '';
